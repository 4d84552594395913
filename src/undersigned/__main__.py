"""`python -m undersigned` is the command `undersigned`."""

from undersigned.cli import main

if __name__ == "__main__":
    main()
