"""Client of an Audiograph server: `Audiograph` is blocking, `AsyncAudiograph` has the same API for asyncio.

    from audiograph import Audiograph

    with Audiograph() as client:
        job = client.transcribe("talk.mp3")
        print(job.result.text)

Requests, results and records are in `audiograph.schemas`, exceptions in `audiograph.errors`.
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
