# The newest lines of the log, without their times.
tail -n 300 logs/lessons.log | cut -c 18-
