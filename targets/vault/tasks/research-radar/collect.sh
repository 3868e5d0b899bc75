# The findings that came in, as one text.
sed 's/^- //' inbox/radar.md | tr '\n' ' '
