"""Makes the paths in records absolute URLs."""

from typing import TypeVar

from audiograph.schemas import Artifact, ArtifactPage, File, Job, JobEvent, JobPage, JobUrls, VoiceInfo

FileRecord = TypeVar("FileRecord", File, Artifact)


class Links:
    """Completes the URLs in the records of one response, under one base URL."""

    def __init__(self, base: str) -> None:
        self._base = base.replace("ws", "http", 1).rstrip("/") if base.startswith("ws") else base.rstrip("/")

    def url(self, path: str) -> str:
        """Make a path absolute; an absolute URL stays unchanged."""
        return f"{self._base}{path}" if path.startswith("/") else path

    def file(self, record: FileRecord) -> FileRecord:
        """Complete a file or an artifact."""
        return record.model_copy(update={"url": self.url(record.url)})

    def artifacts(self, page: ArtifactPage) -> ArtifactPage:
        """Complete a page of artifacts."""
        return page.model_copy(update={"data": [self.file(artifact) for artifact in page.data]})

    def job(self, job: Job) -> Job:
        """Complete a job and its artifacts."""
        urls = JobUrls(
            self=self.url(job.urls.self), events=self.url(job.urls.events), cancel=self.url(job.urls.cancel)
        )
        artifacts = [self.file(artifact) for artifact in job.artifacts]
        return job.model_copy(update={"urls": urls, "artifacts": artifacts})

    def voice(self, voice: VoiceInfo) -> VoiceInfo:
        """Complete a voice and its recording, if it has one."""
        return voice.model_copy(update={"artifact": voice.artifact and self.file(voice.artifact)})

    def jobs(self, page: JobPage) -> JobPage:
        """Complete a page of jobs."""
        return page.model_copy(update={"data": [self.job(job) for job in page.data]})

    def event(self, event: JobEvent) -> JobEvent:
        """Complete an event and, in the final one, its job."""
        return event.model_copy(update={"job": self.job(event.job)}) if event.job else event
