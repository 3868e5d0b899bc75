# Today's plan as one text.
sed -n 's/^- \(.*\)$/\1./p' logs/today.md | tr '\n' ' '
