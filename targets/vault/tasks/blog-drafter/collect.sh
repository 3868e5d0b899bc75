# The key facts of the first note that the radar speaks of; of the last one where it speaks of none.
for note in notes/*.md; do
  name=${note##*/}
  if grep -q -i -w "${name%%[-.]*}" research-radar.txt; then break; fi
done
sed -n '/^## Key facts/,/^## Question/p' "$note" | grep '^- ' | sed 's/^- //' | tr '\n' ' '
