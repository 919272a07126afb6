"""Cleans up: pins of finished jobs, jobs and artifacts past their retention, bytes over the budget."""

import logging
import time
from datetime import UTC, datetime

from dbos import DBOSClient

from deployments.config import JobsConfig, StorageConfig
from deployments.jobs import durable
from deployments.jobs.records import JobRecords
from deployments.storage.artifacts import ArtifactStore

logger = logging.getLogger("audiograph.jobs")

PIN_GRACE_SECONDS = 60.0
"""A pin is set just before its job is stored: only an older pin without a job is an orphan."""

DELETE_AT_ONCE = 500


class Janitor:
    """Cleans up; safe to run in any number of runners at once."""

    def __init__(
        self,
        jobs: JobsConfig,
        storage: StorageConfig,
        store: ArtifactStore,
        client: DBOSClient,
        records: JobRecords,
    ) -> None:
        self._jobs = jobs
        self._storage = storage
        self._store = store
        self._client = client
        self._records = records

    def clean(self) -> None:
        """Run one round."""
        self._release_pins()
        self._delete_old_jobs()
        collected = self._store.collect(self._storage.retention_seconds, self._storage.max_bytes)
        if collected.items:
            logger.info(
                "removed %d items and %d bytes past retention or budget", collected.items, collected.bytes
            )

    def _release_pins(self) -> None:
        for job_id, created_at in self._store.pinned_jobs():
            status = self._records.status(job_id)
            orphan = status is None and time.time() - created_at > PIN_GRACE_SECONDS
            if orphan or status in durable.FINAL:
                self._store.unpin(job_id)
            if status == durable.CANCELED:  # its last artifacts may have been stored after the cancel
                self._store.delete_leftovers(job_id)

    def _delete_old_jobs(self) -> None:
        if self._jobs.retention_seconds is None:
            return
        limit = datetime.fromtimestamp(time.time() - self._jobs.retention_seconds, UTC).isoformat()
        old = self._client.list_workflows(
            name=list(durable.TASKS),
            status=list(durable.FINAL),
            completed_before=limit,
            limit=DELETE_AT_ONCE,
            load_input=False,
            load_output=False,
        )
        if old:
            self._client.delete_workflows([workflow.workflow_id for workflow in old])
