"""`python -m crossmargin`."""

from crossmargin.cli import main

main()
