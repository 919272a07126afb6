"""Files of weights from the servers of their publishers."""

from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from deployments.models.weights.published import FetchFailed, PublishedFile, Report
from deployments.models.weights.reachability import hub_reachable

READ_TIMEOUT_SECONDS = 30
"""A download that receives nothing for this long has failed."""
BLOCK_BYTES = 1 << 20


def fetch_from_hub(file: PublishedFile, target: Path, work_dir: Path, report: Report) -> None:
    """Download a file from its publisher; the caller compares its digest.

    Raises:
        FetchFailed: the server cannot be reached, or the download failed.
    """
    if not hub_reachable(file.hub, work_dir):  # one check for all files of a server
        raise FetchFailed("the server that publishes it cannot be reached")
    try:
        with urlopen(file.url, timeout=READ_TIMEOUT_SECONDS) as source, target.open("wb") as sink:
            total = int(source.headers.get("content-length") or 0) or None
            while block := source.read(BLOCK_BYTES):
                sink.write(block)
                report(sink.tell(), total)
    except (OSError, HTTPException) as error:
        raise FetchFailed(f"its download failed ({error})") from error
