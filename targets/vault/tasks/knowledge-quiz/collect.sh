# The question of each note that knowledge-spacer named; its answer must not be shown.
while read -r due name title; do
  echo "$title"
  sed -n '/^## Question/,$p' "notes/$name.md" | grep -v '^#'
done < knowledge-spacer.txt
