"""``python -m audiograph``: the command line."""

from audiograph.cli import main

main()
