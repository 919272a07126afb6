"""Stores a run's files as artifacts, in the replica, so that audio goes straight to storage.

Direct responses store nothing: their few seconds of audio go to the caller by `to_plain_audio`.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import delete

from audiograph.errors import InternalError
from audiograph.schemas import Artifact, Request
from deployments.audio import files as audio
from deployments.models.base import AudioOutput, FileOutput, Output
from deployments.replica.context import ReplicaContext
from deployments.replica.protocol import Audio
from deployments.storage.artifacts import ArtifactStore, Provenance
from deployments.storage.tables import Pin

CHUNK_BYTES = 1 << 20
AT_A_TIME = 2
"""Files of a run that are encoded at a time: four stems of a song are worth more than one processor."""


def provenance(request: Request, task: str, job_id: str, weights: str) -> Provenance:
    """Build the provenance of a run's files; its parameters are the task's own fields that the caller set."""
    common = {*Request.model_fields, "task"}
    return Provenance(
        job_id=job_id,
        task=task,
        model=request.model,
        variant=request.variant,
        weights=weights,
        creator=request.creator,
        parent_id=request.parent_id,
        variation_set_id=request.variation_set_id,
        tags=request.tags,
        parameters=request.model_dump(mode="json", exclude=common, exclude_unset=True, exclude_none=True),
    )


def store_outputs(
    store: ArtifactStore, output: Output, origin: Provenance, context: ReplicaContext, stored: list[str]
) -> None:
    """Store a run's files, pinned to their job, all or none, and append their ids to `stored`.

    Raises:
        Canceled: the job was canceled meanwhile.
    """

    def store_one(file: AudioOutput | FileOutput) -> str:
        context.check()
        return _store(store, file, origin).id

    with ThreadPoolExecutor(AT_A_TIME, "outputs") as threads:
        storing = [threads.submit(store_one, file) for file in output.files]
    stored += [one.result() for one in storing if one.exception() is None]
    try:
        for one in storing:
            one.result()
        context.check()
    except BaseException:
        discard(store, stored)
        stored.clear()
        raise


def discard(store: ArtifactStore, ids: list[str]) -> None:
    """Delete artifacts of a run whose result was not delivered, in spite of their own job's pin."""
    with store.database.session() as session:
        session.execute(delete(Pin).where(Pin.item_id.in_(ids)))
    for artifact_id in ids:
        store.delete(artifact_id)


def to_plain_audio(output: Output) -> Audio:
    """Return a run's first audio as plain data, which every Python environment can read.

    Raises:
        InternalError: the run produced no audio.
    """
    for file in output.files:
        if isinstance(file, AudioOutput):
            frames = file.frames()
            return {
                "samples": frames.astype("<f4").tobytes(),
                "sample_rate": file.sample_rate,
                "channels": frames.shape[1],
            }
    raise InternalError("the model produced no audio")


def _store(store: ArtifactStore, file: AudioOutput | FileOutput, origin: Provenance) -> Artifact:
    if isinstance(file, FileOutput):
        return store.put_artifact(file.name, file.content, file.media_type, provenance=origin, pin=True)
    name = file.name if file.name.endswith(f".{file.format}") else f"{file.name}.{file.format}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"audio.{file.format}"
        info = audio.encode(file.samples, file.sample_rate, file.format, path)
        with store.writer() as writer, path.open("rb") as encoded:
            while chunk := encoded.read(CHUNK_BYTES):
                writer.write(chunk)
            return writer.commit_artifact(name, info.media_type, info, origin, pin=True)
