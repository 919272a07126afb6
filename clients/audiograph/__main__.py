"""The command line as ``python -m audiograph``."""

from audiograph.cli import main

main()
