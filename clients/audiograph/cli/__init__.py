"""The command line: ``audiograph transcribe talk.mp3``.

Results go to stdout; progress, messages and warnings go to stderr, an error in one line. Exit status:
0 success, 1 the job or the server failed or the result was not saved, 2 usage error or invalid request,
3 no connection, 4 canceled, 5 timeout, 130 interrupted.
"""

from audiograph.cli._app import app, main
from audiograph.cli._group import ReportingGroup
from audiograph.cli._terminal import print_line, print_table

__all__ = ["ReportingGroup", "app", "main", "print_line", "print_table"]
