"""`python -m undersigned.cli` is the command `undersigned`."""

from undersigned.cli import main

main()
