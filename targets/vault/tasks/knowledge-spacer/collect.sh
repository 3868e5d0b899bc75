# One line for each note that is due: date, name, title.
for note in notes/*.md; do
  due=$(sed -n 's/^due: //p' "$note")
  title=$(sed -n 's/^title: //p' "$note")
  interval=$(sed -n 's/^interval: //p' "$note")
  ease=$(sed -n 's/^ease: //p' "$note")
  name=${note##*/}
  if [ "$due" \> "$TODAY" ]; then continue; fi
  echo "$due ${name%.md} $title"
done | sort
