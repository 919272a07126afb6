"""Recorded voices for models that clone them: uploads by name, and files of the voices folder by path.

A voice is stored as an artifact: mono, trimmed of silence, at normalized loudness, with its transcript among
its parameters. So a job that has pinned the artifact does not depend on the voice's name any more.
"""

import hashlib
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

from audiograph._wording import shown
from audiograph.errors import Conflict, InvalidAudio, InvalidRequest, NotFound, naming_field
from audiograph.schemas import Artifact, File, VoiceInfo, is_item_id
from deployments.audio import files as audio
from deployments.audio.loudness import normalize_loudness, prevent_clipping
from deployments.config import LimitsConfig, VoicesConfig
from deployments.storage.artifacts import ArtifactStore, Provenance
from deployments.storage.names import check_text
from deployments.storage.safe_paths import resolve_below
from deployments.storage.tables import MAX_HOLDER, VOICE_HOLDER_PREFIX, Pin, Voice

logger = logging.getLogger("audiograph.storage")

SAMPLE_RATE = 48_000
TAG = "type:voice"
SILENCE_DB = -40.0
"""Level relative to the loudest window below which either end counts as silence."""
WINDOW_SECONDS = 0.02
MARGIN_SECONDS = 0.1
"""Silence kept at either end."""
AUDIO_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".m4a", ".ogg", ".opus", ".aac", ".webm"})

_FOLDER_LOCK = 0x61756469_6F766F69
"""Key of the lock that serializes the registration of files of the folder ("audiovoi")."""


class VoiceStore:
    """Store of recorded voices. Blocking; safe to use from many threads and processes."""

    def __init__(self, store: ArtifactStore, config: VoicesConfig, limits: LimitsConfig) -> None:
        self._store = store
        self._config = config
        self._limits = limits

    def create(self, name: str, file: str, transcript: str | None = None) -> VoiceInfo:
        """Create a voice from a recording.

        Args:
            name: the voice's id.
            file: id of a stored recording, which may be deleted afterwards.
            transcript: transcript of the recording.

        Raises:
            InvalidRequest: no request could name the voice so.
            Conflict: there is a voice of that name, or a file of that path in the voices folder.
            NotFound: there is no such file.
            InvalidAudio: the recording is silent, or too short or too long without its silent ends.
        """
        check_text(transcript, "transcript")
        self._check_name(name)
        with naming_field("file"), self._store.local(file) as path:
            artifact = self._store_recording(path, name, transcript)
        try:
            self._register(name, artifact.id, fingerprint=None)
        except IntegrityError as error:
            self._store.delete(artifact.id)
            raise Conflict(f"there is a voice {name!r} already; delete it first", field="name") from error
        return self.get(name)

    def _check_name(self, name: str) -> None:
        """Refuse a name by which requests would find something else."""
        if is_item_id(name):
            raise InvalidRequest(
                f"name {name!r} has the form of a file's id, and requests would look for that file; choose "
                "another name",
                field="name",
            )
        with naming_field("name"):
            path = self._path(name)
        if path is not None:
            raise Conflict(
                f"the voices folder has a file {name!r} already, which is the voice of that name; choose "
                "another name",
                field="name",
            )

    def keep(self, file: str) -> Artifact:
        """Store a recording as the artifact of a voice without a name, with the lifetime of any artifact.

        Raises:
            NotFound: there is no such file.
            InvalidAudio: the recording is unusable, as for `create`.
        """
        with self._store.local(file) as path:
            return self._store_recording(path, file, None)

    def discard(self, artifact_ids: Iterable[str]) -> None:
        """Delete artifacts of `keep` whose request was refused."""
        for artifact_id in artifact_ids:
            with suppress(NotFound, Conflict):
                self._store.delete(artifact_id)

    def find(self, voice: str) -> File | None:
        """Find the record of a voice: its artifact, or for the id of a file, a recording to `keep`.

        Args:
            voice: name of a voice, path in the voices folder, or id of a file or artifact.

        Returns:
            The record; None if there is none.

        Raises:
            InvalidRequest: no voice can have that name.
            InvalidAudio: it is a file of the folder that cannot be a voice.
        """
        if is_item_id(voice):
            return next(iter(self._store.get_many([voice])), None)
        try:
            return self.get(voice).artifact
        except NotFound:
            return None

    def get(self, name: str) -> VoiceInfo:
        """Return a voice by its name.

        Raises:
            NotFound: there is none.
            InvalidRequest: the name is a path that leads out of the voices folder.
            InvalidAudio: it is a file of the folder that cannot be a voice.
        """
        check_text(name, "voice")
        found = self._uploaded(name) or self._in_folder(name)
        if found is None:
            raise NotFound(f"there is no recorded voice {shown(name)}; see GET /v1/voices", field="voice")
        return found

    def delete(self, name: str) -> None:
        """Delete an uploaded voice. Jobs that have started keep its artifact until they end.

        Raises:
            NotFound: there is none of that name.
            Conflict: it is a file of the voices folder.
        """
        voice = self.get(name)
        if voice.source == "folder":
            raise Conflict(f"{name!r} is a file of the voices folder; remove it there", field="voice")
        with self._store.database.session() as session:
            _unregister(session, name)

    def _uploaded(self, name: str) -> VoiceInfo | None:
        with self._store.database.snapshot() as session:
            row = session.get(Voice, name)
        if row is None or row.fingerprint is not None:
            return None
        return self._record(name, row.item_id, "uploaded")

    def _in_folder(self, name: str) -> VoiceInfo | None:
        path = self._path(name)
        if path is None:
            return None
        status = path.stat()
        fingerprint = f"{status.st_mtime_ns}-{status.st_size}-{_mtime_ns(_transcript_of(path))}"
        with self._store.database.snapshot() as session:
            row = session.get(Voice, name)
        if row is None or row.fingerprint != fingerprint:
            transcript = _transcript_of(path)
            text = transcript.read_text(encoding="utf-8").strip() if transcript.is_file() else None
            item_id = self._store_recording(path, name, text).id
            self._register(name, item_id, fingerprint)
            return self._record(name, item_id, "folder")
        return self._record(name, row.item_id, "folder")

    def _path(self, name: str) -> Path | None:
        """Return the file of the folder with this name, following links; None if there is none.

        Raises:
            InvalidRequest: the name leads out of the folder.
        """
        if self._config.folder is None:
            return None
        try:
            path = resolve_below(self._config.folder, name)
        except ValueError as error:
            raise _outside_error(name) from error
        return path if path.is_file() else None

    def _folder_names(self) -> list[str]:
        if self._config.folder is None:
            return []
        folder = self._config.folder.resolve()
        paths = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        return sorted(
            path.relative_to(folder).as_posix() for path in paths if path.resolve().is_relative_to(folder)
        )

    def _store_recording(self, path: Path, name: str, transcript: str | None) -> Artifact:
        """Decode, trim and normalize a recording, and store it as an artifact."""
        samples, rate = audio.decode(path, sample_rate=SAMPLE_RATE, mono=True, limits=self._limits)
        samples = prevent_clipping(normalize_loudness(_trim(samples, rate), rate))
        self._check_duration(len(samples) / rate)
        origin = Provenance(tags=(TAG,), parameters={"voice": name, "transcript": transcript})
        with tempfile.TemporaryDirectory() as folder:
            encoded = Path(folder) / "voice.flac"
            info = audio.encode(samples, rate, "flac", encoded)
            with self._store.writer() as writer:
                writer.write(encoded.read_bytes())
                return writer.commit_artifact(f"{name}.flac", info.media_type, info, origin)

    def _check_duration(self, seconds: float) -> None:
        low, high = self._config.min_seconds, self._config.max_seconds
        if not low <= seconds <= high:
            raise InvalidAudio(
                f"the voice has {seconds:.1f} s without its silent ends; {low:g} to {high:g} s are required",
                field="file",
            )

    def _register(self, name: str, item_id: str, fingerprint: str | None) -> None:
        now = time.time()
        with self._store.database.session() as session:
            if fingerprint is not None:  # the file has changed, or another process registers it as well
                self._store.database.lock(session, _FOLDER_LOCK)
                _unregister(session, name)
            session.add(Voice(name=name, item_id=item_id, fingerprint=fingerprint, created_at=now))
            session.add(Pin(holder=_holder(name), item_id=item_id, created_at=now))

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
        """Return all voices: uploads by name, then the folder's current files that can be voices, by path."""
        query = select(Voice).where(Voice.fingerprint.is_(None)).order_by(Voice.name)
        with self._store.database.snapshot() as session:
            uploaded = {row.name: row.item_id for row in session.scalars(query)}
        uploads = [self._record(name, item_id, "uploaded") for name, item_id in uploaded.items()]
        paths = [path for path in self._folder_names() if path not in uploaded]  # an upload goes first
        return [*uploads, *filter(None, map(self._try_in_folder, paths))]

    def _try_in_folder(self, name: str) -> VoiceInfo | None:
        """Return a file of the folder as a voice; log a warning and return None if it cannot be one."""
        try:
            return self._in_folder(name)
        except InvalidAudio as error:
            logger.warning("%s in the voices folder cannot be a voice: %s", name, error)
            return None


def is_voice(record: File) -> TypeGuard[Artifact]:
    """Return whether a record is the artifact of a voice."""
    return isinstance(record, Artifact) and record.job_id is None and TAG in record.tags


def _unregister(session: Session, name: str) -> None:
    items = select(Voice.item_id).where(Voice.name == name)
    is_voices = Pin.holder.startswith(VOICE_HOLDER_PREFIX)
    session.execute(delete(Pin).where(Pin.item_id.in_(items), is_voices))
    session.execute(delete(Voice).where(Voice.name == name))


def _holder(name: str) -> str:
    """Return the holder of a voice's pin; a digest replaces a name that is too long for the column."""
    room = MAX_HOLDER - len(VOICE_HOLDER_PREFIX)
    short = name if len(name) <= room else hashlib.sha256(name.encode()).hexdigest()[:room]
    return VOICE_HOLDER_PREFIX + short


def _trim(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Cut silence off both ends of mono samples ``[frames]``, except for a margin.

    Raises:
        InvalidAudio: the samples are silent.
    """
    length = round(WINDOW_SECONDS * rate)
    windows = np.pad(samples, (0, -len(samples) % length)).reshape(-1, length)
    level = np.sqrt((windows.astype(np.float64) ** 2).mean(axis=1))
    audible = np.flatnonzero(level > max(level.max(initial=0) * 10 ** (SILENCE_DB / 20), 1e-5))
    if not len(audible):
        raise InvalidAudio("the recording is silent; send one with speech", field="file")
    margin = round(MARGIN_SECONDS * rate)
    return samples[max(0, audible[0] * length - margin) : (audible[-1] + 1) * length + margin]


def _transcript_of(path: Path) -> Path:
    """Return the path of the transcript of a file of the folder, which lies beside it."""
    return path.with_suffix(".txt")


def _mtime_ns(path: Path) -> int:
    """Return the time of a file's last change in nanoseconds; 0 if it does not exist."""
    return path.stat().st_mtime_ns if path.is_file() else 0


def _outside_error(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"voice {shown(name)} leads out of the voices folder; use a path relative to that folder",
        field="voice",
    )
