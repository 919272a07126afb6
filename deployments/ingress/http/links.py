"""Makes the paths in records absolute, so that a client may follow them from anywhere."""

from typing import TypeVar

from audiograph.schemas import Artifact, ArtifactPage, File, Job, JobEvent, JobPage, JobUrls, VoiceInfo

Stored = TypeVar("Stored", File, Artifact)


class Links:
    """The records of one answer, with URLs under one base."""

    def __init__(self, base: str) -> None:
        self._base = base.replace("ws", "http", 1).rstrip("/") if base.startswith("ws") else base.rstrip("/")

    def url(self, path: str) -> str:
        """An absolute URL; one that is absolute already stays as it is."""
        return f"{self._base}{path}" if path.startswith("/") else path

    def file(self, record: Stored) -> Stored:
        """A file or an artifact."""
        return record.model_copy(update={"url": self.url(record.url)})

    def artifacts(self, page: ArtifactPage) -> ArtifactPage:
        """A page of artifacts."""
        return page.model_copy(update={"data": [self.file(artifact) for artifact in page.data]})

    def job(self, job: Job) -> Job:
        """A job with its artifacts."""
        urls = JobUrls(
            self=self.url(job.urls.self), events=self.url(job.urls.events), cancel=self.url(job.urls.cancel)
        )
        artifacts = [self.file(artifact) for artifact in job.artifacts]
        return job.model_copy(update={"urls": urls, "artifacts": artifacts})

    def voice(self, voice: VoiceInfo) -> VoiceInfo:
        """A voice with its recording, if it has one."""
        return voice.model_copy(update={"artifact": voice.artifact and self.file(voice.artifact)})

    def jobs(self, page: JobPage) -> JobPage:
        """A page of jobs."""
        return page.model_copy(update={"data": [self.job(job) for job in page.data]})

    def event(self, event: JobEvent) -> JobEvent:
        """An event, with the job that the final one carries."""
        return event.model_copy(update={"job": self.job(event.job)}) if event.job else event
