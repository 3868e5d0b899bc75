# The findings that came in, one a line.
sed 's/^- //' inbox/radar.md
