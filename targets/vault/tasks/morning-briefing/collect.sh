# Today's plan.
grep '^- ' logs/today.md
