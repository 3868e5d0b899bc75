# The seed that lies in the inbox.
cat inbox/seed.md
