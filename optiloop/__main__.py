"""`python -m optiloop`."""

from optiloop.cli import main

main()
