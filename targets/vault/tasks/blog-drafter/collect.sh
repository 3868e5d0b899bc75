# The key facts of the note that is due first.
note=$(grep -l '^due: ' notes/*.md | xargs grep -H '^due: ' | sort -t: -k3 | head -n 1 | cut -d: -f1)
sed -n '/^## Key facts/,/^## Question/p' "$note" | grep '^- '
