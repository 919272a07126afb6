"""Before a job is stored, the recorded voices that it names become artifacts, which it can pin."""

from typing import Any

from audiograph.errors import InvalidRequest, NotFound
from audiograph.schemas import Artifact, Request, is_item_id, voices_named
from deployments.models.registry import Registry
from deployments.storage.voices import VoiceStore


def bind_voices(request: Request, registry: Registry, voices: VoiceStore) -> Request:
    """A copy of a resolved request whose recorded voices are named by their artifacts' ids. Blocking.

    Raises:
        InvalidRequest: there is no such voice, or its transcript is needed and not known.
        InvalidAudio: a file that is named as a voice cannot be one.
    """
    card = registry.card(request.model or "")
    if not card.clones_voices:
        return request
    built_in = {voice.id for voice in registry.voices(card.name)}
    bound = {
        field: _artifact(field, voice, voices)
        for field, voice in voices_named(request).items()
        if voice not in built_in
    }
    for field, artifact in bound.items():
        if card.needs_transcripts and not artifact.parameters.get("transcript"):
            raise InvalidRequest(
                f"model {card.name!r} must know what is said in the voice {artifact.parameters['voice']!r}: "
                "upload it with a transcript (POST /v1/voices)",
                field=field,
            )
    return _with_voices(request, {field: artifact.id for field, artifact in bound.items()})


def _artifact(field: str, voice: str, voices: VoiceStore) -> Artifact:
    try:
        if is_item_id(voice):
            return voices.keep(voice)
        found = voices.get(voice).artifact
    except NotFound as error:
        raise InvalidRequest(str(error), field=field, details={"value": voice}) from error
    assert found is not None
    return found


def _with_voices(request: Request, ids: dict[str, str]) -> Request:
    changes: dict[str, Any] = {}
    if "voice" in ids:
        changes["voice"] = ids["voice"]
    turns = getattr(request, "turns", None)
    if turns:
        changes["turns"] = [
            turn.model_copy(update={"voice": ids.get(f"turns.{index}.voice", turn.voice)})
            for index, turn in enumerate(turns)
        ]
    return request.model_copy(update=changes)
