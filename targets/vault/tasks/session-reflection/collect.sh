# The last session's notes.
grep -h '^- ' "$(ls logs/session-*.md | tail -n 1)"
