# The newest lines of the log.
tail -n 400 logs/lessons.log
