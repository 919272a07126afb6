"""Replaces the recorded voices that a request names by artifacts, before the job is stored and pins them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from audiograph._wording import shown
from audiograph.errors import AudiographError, InvalidAudio, InvalidRequest, naming_field
from audiograph.schemas import DialogueRequest, File, Request, voices_named
from deployments.models.registry import Registry
from deployments.models.voices import replace_voices
from deployments.storage.safe_paths import is_safe_relative
from deployments.storage.voices import VoiceStore, is_voice

RequestT = TypeVar("RequestT", bound=Request)


@dataclass(frozen=True, slots=True)
class Binding(Generic[RequestT]):
    """A request that is ready to be stored."""

    request: RequestT
    """Names recorded voices by their artifacts' ids."""
    notes: Sequence[str] = ()
    """Notes for the result: voices that the default voice replaces."""
    created: Sequence[str] = ()
    """Ids of the artifacts that were created for this request alone."""


def bind_voices(
    request: RequestT, registry: Registry, voices: VoiceStore, *, replace_invalid: bool = False
) -> Binding[RequestT]:
    """Bind the voices of a resolved request; the default voice replaces voices that do not exist. Blocking.

    Args:
        request: resolved: its model is filled in.
        registry: the configured models.
        voices: the recorded voices.
        replace_invalid: let the default voice also replace recordings of the voices folder that
            cannot be a voice.

    Raises:
        InvalidRequest: the id cannot name a voice, or the model cannot clone the voice without a transcript.
        InvalidAudio: an uploaded file cannot be a voice; or a recording of the voices folder cannot, and
            ``replace_invalid`` is false.
    """
    model = request.model or ""
    fields = _fields(request)
    own = {voice: own_id for voice in fields if (own_id := registry.own_voice(model, voice))}
    for voice in own:
        del fields[voice]
    if not fields:
        return Binding(replace_voices(request, own))
    store = voices if registry.card(model).clones_voices else None
    found, replaced = _located(fields, store, replace_invalid=replace_invalid)
    spoken = registry.without_voices(request, replaced)
    registry.check_voices(spoken, {voice: _transcript(record) for voice, record in found.items()})
    kept = _keep([voice for voice, record in found.items() if not is_voice(record)], fields, voices)
    ids = {voice: record.id for voice, record in found.items()} | kept
    notes = [_note(voice, reason, request) for voice, reason in replaced.items()]
    return Binding(replace_voices(spoken, own | ids), notes, [*kept.values()])


def _fields(request: Request) -> dict[str, str]:
    """Map each voice to the first field that names it."""
    fields: dict[str, str] = {}
    for field, voice in voices_named(request).items():
        fields.setdefault(voice, field)
    return fields


def _located(
    fields: Mapping[str, str], voices: VoiceStore | None, *, replace_invalid: bool
) -> tuple[dict[str, File], dict[str, str]]:
    """Return the recordings by voice, and the reasons why the default voice replaces the other voices."""
    found: dict[str, File] = {}
    replaced: dict[str, str] = {}
    for voice, field in fields.items():
        try:
            record = _find(voice, field, voices)
        except InvalidAudio as error:
            if not replace_invalid:
                raise
            replaced[voice] = f"cannot be used ({error})"
        else:
            if record is None:
                replaced[voice] = "not found"
            else:
                found[voice] = record
    return found, replaced


def _find(voice: str, field: str, voices: VoiceStore | None) -> File | None:
    with naming_field(field):
        record = voices.find(voice) if voices else None
        if record is None and not is_safe_relative(voice):
            raise InvalidRequest(
                f"{field} {shown(voice)} is neither the name of a voice, nor a file's id, nor a path inside "
                "the voices folder; see GET /v1/voices",
                details={"value": voice},
            )
        return record


def _transcript(record: File) -> str | None:
    """Return a voice's transcript; an uploaded file is no voice yet, so only the request can give one."""
    return record.parameters.get("transcript") if is_voice(record) else None


def _keep(files: Sequence[str], fields: Mapping[str, str], voices: VoiceStore) -> dict[str, str]:
    """Store uploaded recordings as voice artifacts, all or none; returns their ids by file."""
    created: dict[str, str] = {}
    try:
        for file in files:
            with naming_field(fields[file]):
                created[file] = voices.keep(file).id
    except AudiographError:
        voices.discard(created.values())
        raise
    return created


def _note(voice: str, reason: str, request: Request) -> str:
    note = f"voice {shown(voice)} {reason}; using the default voice"
    if not isinstance(request, DialogueRequest):
        return note
    numbers = [str(number) for number, turn in enumerate(request.turns, 1) if turn.voice == voice]
    return f"{note} in turn{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
