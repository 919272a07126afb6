"""Before a job is stored, the recorded voices that it names become artifacts, which it can pin."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from audiograph.errors import AudiographError, InvalidRequest
from audiograph.schemas import DialogueRequest, File, Request, voices_named
from deployments.models.registry import Registry
from deployments.models.voices import recast
from deployments.storage.confined import is_plain
from deployments.storage.voices import VoiceStore, is_voice


@dataclass(frozen=True, slots=True)
class Binding:
    """A request that is ready to be stored."""

    request: Request
    """Its recorded voices are named by their artifacts' ids."""
    notes: Sequence[str] = ()
    """For the result: which voices are not there."""
    made: Sequence[str] = ()
    """Artifacts that were made for it alone."""


def bind_voices(request: Request, registry: Registry, voices: VoiceStore) -> Binding:
    """Find the voices of a resolved request; the default voice speaks for those that are not there. Blocking.

    Raises:
        InvalidRequest: no voice can have such an id; or the model cannot clone it, for want of a transcript.
        InvalidAudio: what is named as a voice cannot be one.
    """
    fields = _fields(request)
    if not fields:
        return Binding(request)
    model = registry.model(request.model or "")
    for voice in registry.voices(request.model or ""):
        fields.pop(voice.id, None)
    found = {
        voice: _find(voice, field, voices if model.clones_voices else None) for voice, field in fields.items()
    }
    missing = [voice for voice, record in found.items() if record is None]
    recordings = {voice: record for voice, record in found.items() if record is not None}
    spoken = model.without_voices(request, missing)
    model.check_voices(spoken, {voice: _transcript(record) for voice, record in recordings.items()})
    files = [voice for voice, record in recordings.items() if not is_voice(record)]
    kept = _keep(files, fields, voices)
    ids = {voice: record.id for voice, record in recordings.items()} | kept
    return Binding(recast(spoken, ids), [_note(voice, request) for voice in missing], [*kept.values()])


def _fields(request: Request) -> dict[str, str]:
    """Where each voice is named first."""
    fields: dict[str, str] = {}
    for field, voice in voices_named(request).items():
        fields.setdefault(voice, field)
    return fields


def _find(voice: str, field: str, voices: VoiceStore | None) -> File | None:
    with _naming(field):
        record = voices.find(voice) if voices else None
        if record is None and not is_plain(voice):
            raise InvalidRequest(
                f"{field} {voice[:80]!r} is neither the name of a voice, nor a file's id, nor a path inside "
                "the voices folder; see GET /v1/voices",
                details={"value": voice},
            )
        return record


def _transcript(record: File) -> str | None:
    """What a voice says; of a recording that is none yet, only the request itself may tell."""
    return record.parameters.get("transcript") if is_voice(record) else None


def _keep(files: Sequence[str], fields: Mapping[str, str], voices: VoiceStore) -> dict[str, str]:
    """Make artifacts of recordings that are no voices yet: all of them, or none."""
    made: dict[str, str] = {}
    try:
        for file in files:
            with _naming(fields[file]):
                made[file] = voices.keep(file).id
    except AudiographError:
        voices.discard(made.values())
        raise
    return made


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """What is wrong with a voice is wrong with the field that names it."""
    try:
        yield
    except InvalidRequest as error:
        error.field = field
        raise


def _note(voice: str, request: Request) -> str:
    note = f"voice {voice!r} is not there: the default voice speaks instead"
    if not isinstance(request, DialogueRequest):
        return note
    numbers = [str(number) for number, turn in enumerate(request.turns, 1) if turn.voice == voice]
    return f"{note}, in turn{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
