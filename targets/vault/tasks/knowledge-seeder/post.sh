# Puts front matter before what the model wrote; its title is the seed's first line.
echo '---'
sed -n 's/^Seed: /title: /p' inbox/seed.md
echo 'tags: seed'
echo "created: $TODAY"
echo '---'
cat
