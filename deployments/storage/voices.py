"""Recorded voices, for models that clone them: uploaded ones by name, a folder's files by their paths in it.

A voice is kept as an artifact: mono, its silent ends cut off, at one loudness, with its transcript among its
parameters. So a job that has it pinned needs nothing else, whatever becomes of the name meanwhile.
"""

import logging
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from audiograph.errors import Conflict, InvalidAudio, InvalidRequest, NotFound
from audiograph.schemas import Artifact, File, VoiceInfo, is_item_id
from deployments.audio import files as audio
from deployments.audio.loudness import leveled, within_full_scale
from deployments.config import LimitsConfig, VoicesConfig
from deployments.storage.artifacts import ArtifactStore, Provenance
from deployments.storage.confined import within
from deployments.storage.names import checked_text
from deployments.storage.tables import VOICE_HOLDER, Pin, Voice

logger = logging.getLogger("audiograph.storage")

SAMPLE_RATE = 48_000
TAG = "type:voice"
QUIET_DB = -40.0
"""Below the loudest moment: what is quieter at either end is cut off."""
MOMENT_SECONDS, MARGIN_SECONDS = 0.02, 0.1
AUDIO_ENDINGS = frozenset({".wav", ".mp3", ".flac", ".m4a", ".ogg", ".opus", ".aac", ".webm"})

_READING = 0x61756469_6F766F69
"""Key of the lock that keeps two from remembering files of the folder at once ("audiovoi")."""


class VoiceStore:
    """The voices of one server. Blocking; safe to use from many threads and processes."""

    def __init__(self, store: ArtifactStore, config: VoicesConfig, limits: LimitsConfig) -> None:
        self._store = store
        self._config = config
        self._limits = limits

    def create(self, name: str, file: str, transcript: str | None = None) -> VoiceInfo:
        """Keep a recording as a voice.

        Args:
            name: its id from now on; none of the folder's.
            file: id of a stored recording, which is not needed any more afterwards.
            transcript: what is said in it.

        Raises:
            Conflict: there is a voice of that name.
            NotFound: there is no such file.
            InvalidAudio: it is silent, or too short or too long once its silent ends are gone.
        """
        checked_text(transcript, "transcript")
        with self._store.local(file) as path:
            artifact = self._kept(path, name, transcript)
        try:
            self._remember(name, artifact.id, fingerprint=None)
        except IntegrityError as error:
            self._store.delete(artifact.id)
            raise Conflict(f"there is a voice {name!r} already; delete it first", field="name") from error
        return self.get(name)

    def keep(self, file: str) -> Artifact:
        """A recording prepared as a voice without a name; it goes as any artifact does.

        Raises:
            NotFound, InvalidAudio: as `create` does.
        """
        with self._store.local(file) as path:
            return self._kept(path, file, None)

    def discard(self, kept: Iterable[str]) -> None:
        """Delete what `keep` prepared for a request that was refused after all."""
        for artifact_id in kept:
            with suppress(NotFound, Conflict):
                self._store.delete(artifact_id)

    def find(self, voice: str) -> File | None:
        """What a request means by a voice: a voice's artifact, or a recording to `keep`; None if nothing.

        Raises:
            InvalidRequest: no voice can have that id.
            InvalidAudio: it is a file of the folder that cannot be a voice.
        """
        if is_item_id(voice):
            return next(iter(self._store.get_many([voice])), None)
        try:
            return self.get(voice).artifact
        except NotFound:
            return None

    def get(self, name: str) -> VoiceInfo:
        """A voice by its id.

        Raises:
            NotFound: there is none.
            InvalidRequest: it is a path that leads out of the voices folder.
        """
        checked_text(name, "voice")
        found = self._named(name) or self._in_folder(name)
        if found is None:
            raise NotFound(f"there is no recorded voice {name[:80]!r}; see GET /v1/voices", field="voice")
        return found

    def delete(self, name: str) -> None:
        """Forget an uploaded voice; jobs that have begun keep it until they end.

        Raises:
            NotFound: there is none of that name.
            Conflict: it is a file of the voices folder.
        """
        voice = self.get(name)
        if voice.source == "folder":
            raise Conflict(f"{name!r} is a file of the voices folder; remove it there", field="voice")
        with self._store.database.session() as session:
            _forget(session, name)

    def _named(self, name: str) -> VoiceInfo | None:
        with self._store.database.snapshot() as session:
            row = session.get(Voice, name)
        if row is None or row.fingerprint is not None:
            return None
        return self._record(name, row.item_id, "uploaded")

    def _in_folder(self, name: str) -> VoiceInfo | None:
        path = self._confined(name)
        if path is None:
            return None
        status = path.stat()
        fingerprint = f"{status.st_mtime_ns}-{status.st_size}-{_modified(_transcript_of(path))}"
        with self._store.database.snapshot() as session:
            row = session.get(Voice, name)
        if row is None or row.fingerprint != fingerprint:
            transcript = _transcript_of(path)
            words = transcript.read_text(encoding="utf-8").strip() if transcript.is_file() else None
            item_id = self._kept(path, name, words).id
            self._remember(name, item_id, fingerprint)
            return self._record(name, item_id, "folder")
        return self._record(name, row.item_id, "folder")

    def _confined(self, name: str) -> Path | None:
        """The file that a name means within the folder; links are followed before it is judged.

        Raises:
            InvalidRequest: it leads elsewhere.
        """
        if self._config.folder is None:
            return None
        try:
            path = within(self._config.folder, name)
        except ValueError as error:
            raise _outside(name) from error
        return path if path.is_file() else None

    def _folder_names(self) -> list[str]:
        if self._config.folder is None:
            return []
        folder = self._config.folder.resolve()
        found = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_ENDINGS)
        return sorted(
            path.relative_to(folder).as_posix() for path in found if path.resolve().is_relative_to(folder)
        )

    def _kept(self, path: Path, name: str, transcript: str | None) -> Artifact:
        samples, rate = audio.decode(path, sample_rate=SAMPLE_RATE, mono=True, limits=self._limits)
        samples = within_full_scale(leveled(_trimmed(samples, rate), rate))
        self._check_duration(len(samples) / rate)
        origin = Provenance(tags=(TAG,), parameters={"voice": name, "transcript": transcript})
        with tempfile.TemporaryDirectory() as folder:
            encoded = Path(folder) / "voice.flac"
            info = audio.encode(samples, rate, "flac", encoded)
            with self._store.writer() as writer:
                writer.write(encoded.read_bytes())
                return writer.commit_artifact(f"{name}.flac", audio.MEDIA_TYPES["flac"], info, origin)

    def _check_duration(self, seconds: float) -> None:
        low, high = self._config.min_seconds, self._config.max_seconds
        if not low <= seconds <= high:
            raise InvalidAudio(
                f"the voice has {seconds:.1f} s without its silent ends; {low:g} to {high:g} s are right",
                field="file",
            )

    def _remember(self, name: str, item_id: str, fingerprint: str | None) -> None:
        now = time.time()
        with self._store.database.session() as session:
            if fingerprint is not None:  # a file that has changed, or that another replica is reading as well
                self._store.database.lock(session, _READING)
                _forget(session, name)
            session.add(Voice(name=name, item_id=item_id, fingerprint=fingerprint, created_at=now))
            session.add(Pin(job_id=VOICE_HOLDER + name, item_id=item_id, created_at=now))

    def _record(self, name: str, item_id: str, source: str) -> VoiceInfo:
        artifact = self._store.get(item_id)
        assert isinstance(artifact, Artifact)
        return VoiceInfo(
            id=name,
            name=name,
            source=source,
            artifact=artifact,
            transcript=artifact.parameters.get("transcript"),
            created_at=artifact.created_at,
        )

    def list(self) -> list[VoiceInfo]:
        """All of them by name; the folder's as they are now, but for files that cannot be voices."""
        query = select(Voice).where(Voice.fingerprint.is_(None)).order_by(Voice.name)
        with self._store.database.snapshot() as session:
            uploaded = {row.name: row.item_id for row in session.scalars(query)}
        named = [self._record(name, item_id, "uploaded") for name, item_id in uploaded.items()]
        return [*named, *filter(None, map(self._listed, self._folder_names()))]

    def _listed(self, name: str) -> VoiceInfo | None:
        """A file of the folder as a voice; None if it cannot be one, which the log tells."""
        try:
            return self._in_folder(name)
        except InvalidAudio as error:
            logger.warning("%s in the voices folder is no voice: %s", name, error)
            return None


def is_voice(record: File) -> TypeGuard[Artifact]:
    """Whether a recording has been prepared as a voice already."""
    return isinstance(record, Artifact) and record.job_id is None and TAG in record.tags


def _forget(session: Session, name: str) -> None:
    session.execute(delete(Voice).where(Voice.name == name))
    session.execute(delete(Pin).where(Pin.job_id == VOICE_HOLDER + name))


def _trimmed(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Mono samples without silent ends, but for a margin.

    Raises:
        InvalidAudio: there is nothing but silence.
    """
    length = round(MOMENT_SECONDS * rate)
    moments = np.pad(samples, (0, -len(samples) % length)).reshape(-1, length)
    level = np.sqrt((moments.astype(np.float64) ** 2).mean(axis=1))
    heard = np.flatnonzero(level > max(level.max(initial=0) * 10 ** (QUIET_DB / 20), 1e-5))
    if not len(heard):
        raise InvalidAudio("the recording is silent", field="file")
    margin = round(MARGIN_SECONDS * rate)
    return samples[max(0, heard[0] * length - margin) : (heard[-1] + 1) * length + margin]


def _transcript_of(path: Path) -> Path:
    """What is said in a file of the folder is written beside it."""
    return path.with_suffix(".txt")


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def _outside(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"voice {name[:80]!r} leads out of the voices folder; name a file within it, by its path there",
        field="voice",
    )
