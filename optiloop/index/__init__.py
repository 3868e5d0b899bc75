"""The experiment memory: a log's derived index, and the questions it answers. See `memory`."""
