# How often each thing was seen this week.
cut -d '|' -f 3 signals/fashion.txt | sort | uniq -c | sort -n | head -10
