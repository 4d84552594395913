"""`python -m undersigned` is the command `undersigned`."""

from undersigned.cli import main

main()
