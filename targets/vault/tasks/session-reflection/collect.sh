# The last session's notes as one text.
grep -h '^- ' "$(ls logs/session-*.md | tail -n 1)" | sed 's/^- //' | tr '\n' ' '
