"""Audiograph's client: `Audiograph` for ordinary code, `AsyncAudiograph` for asyncio, the same in all else.

    from audiograph import Audiograph

    with Audiograph() as client:
        job = client.transcribe("talk.mp3")
        print(job.result.text)

Requests, results and records are in `audiograph.schemas`; all that can go wrong is in `audiograph.errors`.
"""

from audiograph import errors, schemas
from audiograph._async.client import AsyncAudiograph
from audiograph._sync.client import Audiograph
from audiograph._version import __version__
from audiograph.errors import AudiographError, JobCanceled, JobFailed, WaitTimeout
from audiograph.schemas import Artifact, File, Job, JobEvent

__all__ = [
    "Artifact",
    "AsyncAudiograph",
    "Audiograph",
    "AudiographError",
    "File",
    "Job",
    "JobCanceled",
    "JobEvent",
    "JobFailed",
    "WaitTimeout",
    "__version__",
    "errors",
    "schemas",
]
