"""What the names in a request of OpenAI's clients mean here; see `deployments.config.OpenAIConfig`."""

import re

from audiograph.errors import InvalidRequest
from deployments.ingress.backend import Services

LISTED = 20
"""The most voices that a message lists."""

_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$")


def model_named(services: Services, name: str) -> str | None:
    """The model of that name, or the one that an OpenAI name stands for; None for the default."""
    aliases = services.config.openai.models
    undated = _DATED.sub("", name)
    if name in services.registry.cards or undated not in aliases:
        return name
    return aliases[undated]


def voice_named(services: Services, model: str, name: str) -> str | None:
    """The model's voice of that name, or the one that an OpenAI name stands for; None for its default.

    Raises:
        InvalidRequest: neither is there.
    """
    if _has_voice(services, model, name):
        return name
    aliases = services.config.openai.voices
    if name in aliases:
        ours = aliases[name]
        return ours if ours and _has_voice(services, model, ours) else None
    known = [voice.id for voice in services.registry.voices(model)]
    if services.registry.card(model).clones_voices:
        known += [voice.id for voice in services.voices.list()]
    listed = ", ".join(known[:LISTED]) or "none but its default, by any of OpenAI's names"
    more = f" and {len(known) - LISTED} more, see GET /v1/audio/voices" if len(known) > LISTED else ""
    raise InvalidRequest(
        f"model {model!r} has no voice {name!r}; voices: {listed}{more}",
        field="voice",
        details={"value": name},
    )


def _has_voice(services: Services, model: str, name: str) -> bool:
    if any(voice.id == name for voice in services.registry.voices(model)):
        return True
    return services.registry.card(model).clones_voices and services.voices.find(name) is not None
