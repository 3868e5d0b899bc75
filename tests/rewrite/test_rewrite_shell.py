"""Shell rules: each fires on what people write, and /bin/sh prints the same bytes before and after."""

# ruff: noqa: E501 - a script is easier to read on one line

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from optiloop.proposers.rewrite import sites_in, sites_of
from optiloop.proposers.rewrite.shell import SHELL, Script
from optiloop.proposers.rewrite.table import RULES

SHELL_RULES = {rule.name: rule for rule in RULES if not rule.answers and rule.language is SHELL}

FILES = {
    "a.txt": "title: First page\nauthor: Ann\ntags: x, y\nERROR one\nok\nERROR two\nWARN three\n",
    "b b.txt": "title: Second\ntitle: again\nauthor: \nERROR\n",
    "c.txt": "",
    "data.csv": "name,age,city\nann,41,Bonn\nbob,7,\n lone \nx,,z\n",
    "sub/d.txt": "title:  spaced \nno newline at the end",
    "hosts": "127.0.0.1 localhost\n10.0.0.1 gate # inner\n",
}


@dataclass(frozen=True)
class Case:
    """A script for the folder of FILES; `has` must stand in its new text, `gone` must not."""

    rule: str
    text: str
    has: str
    gone: str = ""


CASES = {
    "cat into grep": Case("cat-pipe", "cat a.txt | grep ERROR\n", "grep ERROR < a.txt", "cat"),
    "cat of a variable": Case(
        "cat-pipe",
        'for f in *.txt; do\n  n=$(cat "$f" | wc -l)\n  echo "$f" $n\ndone\n',
        'wc -l < "$f"',
        "cat",
    ),
    "four seds in a row": Case(
        "sed-chain",
        "sed 's/title: //' a.txt | sed 's/ERROR/E/g' | sed -e 's|x|y|' | sed 's/o/0/2'\n",
        "sed -e 's/title: //' -e 's/ERROR/E/g' -e 's|x|y|' -e 's/o/0/2' a.txt",
        "|sed",
    ),
    "seds behind another command": Case(
        "sed-chain",
        "sort a.txt | sed 's/^/> /' | sed 's/$/!/'\n",
        "sort a.txt | sed -e 's/^/> /' -e 's/$/!/'",
    ),
    "extended seds": Case(
        "sed-chain", "sed -E 's/(E|W)/<\\1>/' a.txt | sed -E 's/R+/R/'\n", "sed -E -e 's/(E|W)/<\\1>/' -e"
    ),
    "files changed in place": Case(
        "sed-in-place",
        "for f in *.txt; do\n  sed -i 's/ERROR/E/' \"$f\"\n  sed -i 's/WARN/W/' \"$f\"\n"
        "  sed -i 's/ok/fine/' \"$f\"\n  sed -i 's/title/Title/' \"$f\"\ndone\ncat *.txt\n",
        "sed -i -e 's/ERROR/E/' -e 's/WARN/W/' -e 's/ok/fine/' -e 's/title/Title/' \"$f\"",
    ),
    "lines counted by wc": Case(
        "grep-count", "grep -i error a.txt | wc -l\n", "grep -c -i error a.txt", "wc"
    ),
    "counted from a pipe": Case("grep-count", "sort a.txt | grep o | wc -l\n", "| grep -c o", "wc"),
    "sorted, then unique": Case("sort-unique", "cut -d: -f1 a.txt | sort | uniq\n", "sort -u", "uniq"),
    "a command for each file": Case(
        "find-exec", "find . -name '*.txt' -exec chmod 600 {} \\;\nls -l sub | cut -c1-10\n", "{} +", "\\;"
    ),
    "base names": Case(
        "path-parts",
        'for f in *.txt sub/*.txt; do\n  echo "$(basename "$f")"\ndone\n',
        '"${f##*/}"',
        "basename",
    ),
    "base name of a variable folder": Case(
        "path-parts", 'd=sub\nfor f in "$d"/*; do\n  n=$(basename "$f")\n  echo "$n"\ndone\n', "n=${f##*/}"
    ),
    "folder names": Case(
        "path-parts",
        'for f in sub/*.txt ./*.csv; do\n  echo "$(dirname "$f")"\ndone\n',
        '"${f%/*}"',
        "dirname",
    ),
    "a counter": Case(
        "expr-arithmetic",
        'i=0\nwhile [ "$i" -lt 5 ]; do\n  i=$(expr $i + 1)\n  echo $(expr $i \\* 3)\ndone\n',
        "i=$((i + 1))",
    ),
    "a count from wc": Case(
        "expr-arithmetic", "n=$(wc -l < a.txt)\nm=$(expr $n - 2)\necho $m\n", "m=$((n - 2))", "expr"
    ),
    "the first field": Case(
        "cut-field",
        'while IFS= read -r line; do\n  name=$(echo "$line" | cut -d, -f1)\n  echo "<$name>"\ndone < data.csv\n',
        "name=${line%%,*}",
        "cut",
    ),
    "the second field": Case(
        "cut-field",
        'while IFS= read -r line; do\n  age="$(echo "$line" | cut -d \',\' -f 2)"\n  echo "<$age>"\ndone < data.csv\n',
        "age=${line#*,}; age=${age%%,*}",
        "cut",
    ),
    "is a text in the line": Case(
        "search-in-line",
        'while read -r line; do\n  if echo "$line" | grep -q ERROR; then\n    echo "bad: $line"\n'
        "  else\n    echo fine\n  fi\ndone < a.txt\n",
        "case \"$line\" in (*'ERROR'*) true ;; (*) false ;; esac",
        "grep",
    ),
    "a line that begins so": Case(
        "search-in-line",
        'while read -r l; do\n  echo "$l" | grep -q \'^title:\' && echo "$l"\ndone < a.txt\ntrue\n',
        "('title:'*)",
    ),
    "a line that ends so": Case(
        "search-in-line",
        "while read -r l; do\n  if printf '%s\\n' \"$l\" | grep -q 'two$'; then echo \"$l\"; fi\ndone < a.txt\n",
        "(*'two')",
    ),
    "cut for each line": Case(
        "filter-lines",
        'while IFS= read -r line; do\n  echo "$line" | cut -d, -f2\ndone < data.csv\n',
        "cut -d, -f2 < data.csv",
        "while",
    ),
    "tr for each line, in a pipe": Case(
        "filter-lines",
        "sort a.txt | while IFS= read -r line; do\n  printf '%s\\n' \"$line\" | tr a-z A-Z\ndone | head -n 3\n",
        "sort a.txt | tr a-z A-Z | head -n 3",
        "while",
    ),
    "files listed by ls": Case(
        "list-files", 'for f in $(ls *.csv); do\n  wc -l < "$f"\ndone\n', "for f in *.csv; do", "$(ls"
    ),
    "the same answer in each round": Case(
        "hoist-command",
        'for f in *.txt; do\n  for w in 1 2; do\n    echo "$(uname -s) $f"\n  done\ndone\n',
        'uname_said=$(uname -s)\nfor f in *.txt; do\n  for w in 1 2; do\n    echo "${uname_said} $f"',
    ),
    "four questions to one file": Case(
        "one-pass",
        "for f in *.txt; do\n  title=$(sed -n 's/^title: *//p' \"$f\" | head -n 1)\n"
        '  author=$(sed -n \'s/^author: //p\' "$f" | head -n 1)\n  errors=$(grep -c ERROR "$f")\n'
        '  lines=$(wc -l < "$f")\n  echo "[$title] [$author] [$errors] [$lines]"\ndone\n',
        "IFS= read -r title; IFS= read -r author; IFS= read -r errors; IFS= read -r lines;",
        "grep",
    ),
    "two counts": Case(
        "one-pass", "a=$(grep -c ERROR a.txt)\nb=$(grep -c '^WARN' a.txt)\necho $a $b\n", "/^WARN/ { v1++ }"
    ),
}


def folder(tmp_path: Path, name: str) -> Path:
    place = tmp_path / name
    for path, text in FILES.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    return place


ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def outcome(text: str, place: Path) -> tuple[int, bytes, dict[str, bytes]]:
    """The exit code, what it prints, and the folder's files, of a script run by /bin/sh."""
    done = subprocess.run(
        ["/bin/sh", "-c", text],
        cwd=place,
        capture_output=True,
        timeout=20,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    assert not done.stderr, done.stderr
    files = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    return done.returncode, done.stdout, files


@pytest.mark.parametrize("name", CASES)
def test_the_rule_fires_and_the_bytes_stay(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    sites = sites_of(SHELL_RULES[case.rule], case.text)
    assert sites, "the rule did not fire"
    expected = outcome(case.text, folder(tmp_path, "before"))
    assert expected[1], "a script that prints nothing shows nothing"
    assert any(case.has in site.text and (not case.gone or case.gone not in site.text) for site in sites), (
        sites[0].text
    )
    for number, site in enumerate(sites):
        Script(site.text)
        assert outcome(site.text, folder(tmp_path, f"after{number}")) == expected, site.text


@pytest.mark.parametrize("name", CASES)
def test_no_rule_breaks_the_script_of_another(name: str, tmp_path: Path) -> None:
    expected = outcome(CASES[name].text, folder(tmp_path, "before"))
    for number, (rule, site) in enumerate(sites_in("run.sh", CASES[name].text)):
        assert outcome(site.text, folder(tmp_path, f"after{number}")) == expected, (rule.name, site.text)


def test_every_shell_rule_has_cases_on_both_sides() -> None:
    assert {case.rule for case in CASES.values()} == set(SHELL_RULES)
    assert {rule for rule, _ in NOTHING.values()} == set(SHELL_RULES)


LOOP = "while IFS= read -r line; do\n  {}\ndone < data.csv\n"

NOTHING = {
    "two files": ("cat-pipe", "cat a.txt c.txt | grep x\n"),
    "a pattern of files": ("cat-pipe", "cat *.txt | grep x\n"),
    "an option of cat": ("cat-pipe", "cat -n | grep x\n"),
    "a variable that may be several files": ("cat-pipe", "cat $f | grep x\n"),
    "a command that may not read its input": ("cat-pipe", "cat a.txt | ./mine\n"),
    "grep of a file beside": ("cat-pipe", "cat a.txt | grep x > out\n"),
    "sed that prints": ("sed-chain", "sed -n 's/a/b/p' f | sed 's/b/c/'\n"),
    "sed with an address": ("sed-chain", "sed '1s/a/b/' f | sed '1s/b/c/'\n"),
    "sed that quits": ("sed-chain", "sed 's/a/b/;q' f | sed 's/b/c/'\n"),
    "sed that breaks lines": ("sed-chain", "sed 's/,/\\n/g' f | sed 's/^a/b/'\n"),
    "sed by a variable": ("sed-chain", 'sed "s/$a/b/" f | sed "s/c/d/"\n'),
    "the last pattern again": ("sed-chain", "sed 's/a/b/' f | sed 's//c/'\n"),
    "two kinds of pattern": ("sed-chain", "sed -E 's/(a)/b/' f | sed 's/c/d/'\n"),
    "two files in place": ("sed-in-place", "sed -i 's/a/b/' f\nsed -i 's/b/c/' g\n"),
    "in place only if": ("sed-in-place", "sed -i 's/a/b/' f && sed -i 's/b/c/' f\n"),
    "grep in several files": ("grep-count", "grep x a.txt c.txt | wc -l\n"),
    "grep that prints parts": ("grep-count", "grep -o x a.txt | wc -l\n"),
    "grep where failing ends it": ("grep-count", "set -e\ngrep x a.txt | wc -l\n"),
    "words": ("grep-count", "grep x a.txt | wc -w\n"),
    "unique with counts": ("sort-unique", "sort a.txt | uniq -c\n"),
    "sorted by a key": ("sort-unique", "sort -k2 a.txt | uniq\n"),
    "one file at a time": ("find-exec", "find . -exec mv {} {}.bak \\;\n"),
    "a command that names files": ("find-exec", "find . -exec grep x {} \\;\n"),
    "any argument": ("path-parts", 'for f in "$@"; do echo "$(basename "$f")"; done\n'),
    "a path from elsewhere": ("path-parts", 'for f in $files; do echo "$(basename "$f")"; done\n'),
    "a path that is set again": ("path-parts", 'for f in *; do f=$f/; echo "$(basename "$f")"; done\n'),
    "a suffix to drop": ("path-parts", 'for f in *.txt; do echo "$(basename "$f" .txt)"; done\n'),
    "folders": ("path-parts", 'for f in */; do echo "$(basename "$f")"; done\n'),
    "a folder that is not named": ("path-parts", 'for f in *.txt; do echo "$(dirname "$f")"; done\n'),
    "a number with a leading zero": ("expr-arithmetic", "i=08\ni=$(expr $i + 1)\n"),
    "a number from outside": ("expr-arithmetic", "i=$1\ni=$(expr $i + 1)\n"),
    "a number that is read": ("expr-arithmetic", "i=1\nread i\ni=$(expr $i + 1)\n"),
    "a length": ("expr-arithmetic", 'n=$(expr length "$x")\n'),
    "a result of 0 that ends it": ("expr-arithmetic", "set -eu\ni=1\ni=$(expr $i - 1)\n"),
    "the third field": ("cut-field", LOOP.format('x=$(echo "$line" | cut -d, -f3)')),
    "a range of fields": ("cut-field", LOOP.format('x=$(echo "$line" | cut -d, -f1-2)')),
    "a text of several lines": ("cut-field", 'x=$(cat a.txt)\ny=$(echo "$x" | cut -d, -f1)\n'),
    "a special character": ("search-in-line", LOOP.format('echo "$line" | grep -q "a.b" && echo x')),
    "two texts": ("search-in-line", LOOP.format('echo "$line" | grep -q "a\\|b" && echo x')),
    "no line": ("search-in-line", 'if echo "$PATH" | grep -q bin; then echo yes; fi\n'),
    "a not": ("search-in-line", LOOP.format('! echo "$line" | grep -q a')),
    "blanks that read drops": (
        "filter-lines",
        'while read -r line; do\n  echo "$line" | cut -c1-3\ndone < a.txt\n',
    ),
    "backslashes that read drops": (
        "filter-lines",
        'while IFS= read line; do\n  echo "$line" | cut -c1-3\ndone < a\n',
    ),
    "more than the filter": ("filter-lines", LOOP.format('echo "$line" | cut -c1-3\n  echo')),
    "lines joined": ("filter-lines", LOOP.format("echo \"$line\" | tr '\\n' ' '")),
    "squeezed across lines": ("filter-lines", LOOP.format('echo "$line" | tr -s a')),
    "ls with options": ("list-files", "for f in $(ls -t *.txt); do\n  echo $f\ndone\n"),
    "ls of a folder": ("list-files", "for f in $(ls sub); do\n  echo $f\ndone\n"),
    "what changes in each round": ("hoist-command", "for f in *; do\n  echo $(date)\ndone\n"),
    "what depends on the round": ("hoist-command", 'for f in *; do\n  echo $(id "$f")\ndone\n'),
    "a pipe into the loop": ("hoist-command", "ls |\n  while read -r f; do\n  echo $(uname)\ndone\n"),
    "two files asked": ("one-pass", "a=$(grep -c x f)\nb=$(grep -c x g)\n"),
    "one question": ("one-pass", "a=$(grep -c x f)\necho $a\n"),
    "the same name twice": ("one-pass", "a=$(grep -c x f)\na=$(grep -c y f)\n"),
    "an expression for awk": ("one-pass", "a=$(grep -c 'x.*y' f)\nb=$(grep -c 'z*' f)\n"),
    "failing ends it": ("one-pass", "set -e\na=$(grep -c x f)\nb=$(grep -c y f)\n"),
    "every line, not the first": ("one-pass", "a=$(sed -n 's/^x//p' f)\nb=$(sed -n 's/^y//p' f)\n"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_done_where_it_is_not_sure(name: str) -> None:
    rule, text = NOTHING[name]
    Script(text)  # it is understood, and left alone
    assert not sites_of(SHELL_RULES[rule], text)


UNREAD = {
    "bash": "if [[ $a == b ]]; then echo; fi\n",
    "an open quotation": "echo 'a\n",
    "an open substitution": "echo $(ls\n",
    "a loop without its end": "for f in *; do echo\n",
    "a closing too many": "echo )\n",
    "backquotes in backquotes": "x=`echo \\`date\\``\n",
    "an open here-document": "cat <<END\nabc\n",
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_not_surely_understood_is_left_alone(name: str) -> None:
    with pytest.raises(ValueError, match=r"line \d+: "):
        Script(UNREAD[name])
    assert sites_in("run.sh", UNREAD[name] + "cat a.txt | grep x\n") == []


def test_here_documents_comments_and_cases_are_no_commands() -> None:
    text = (
        "cat <<'END' # cat a | grep b\ncat a.txt | grep x\nEND\n"
        "case $1 in\n  a|b) echo 'cat a | grep b' ;;\n  (*) f() { :; }; f ;;\nesac\n"
    )
    assert sites_in("run.sh", text) == []


@pytest.mark.parametrize(
    ("path", "text", "is_shell"),
    [
        ("run.sh", "", True),
        ("bin/run", "#!/bin/sh\n", True),
        ("bin/run", "#!/usr/bin/env bash\n", True),
        ("run.py", "#!/bin/sh\n", False),
        ("run", "#!/usr/bin/python3\n", False),
    ],
)
def test_scripts_are_known_by_name_or_first_line(path: str, text: str, is_shell: bool) -> None:
    assert SHELL.holds(path, text) is is_shell


def test_here_is_a_plain_sh() -> None:
    assert shutil.which("sh", path="/bin")
