"""The models and voices that the names in a request of OpenAI's clients stand for.

See `deployments.config.OpenAIConfig`.
"""

import re

from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from deployments.ingress.backend import Backend
from deployments.models.registry import ModelCard

MAX_LISTED = 20
"""Voices that a message lists."""

_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$")


def model_named(backend: Backend, name: str) -> str | None:
    """Return the model of that name, or the one that an OpenAI name stands for; None for the default."""
    aliases = backend.config.openai.models
    undated = _DATED.sub("", name)
    if name in backend.registry.cards or undated not in aliases:
        return name
    return aliases[undated]


def voice_named(backend: Backend, model: ModelCard, name: str) -> str | None:
    """Return the model's voice of that name, or the one that an OpenAI name stands for; None for its default.

    Raises:
        InvalidRequest: the model has no such voice.
    """
    if found := _voice(backend, model, name):
        return found
    aliases = backend.config.openai.voices
    if name in aliases:
        ours = aliases[name]
        return _voice(backend, model, ours) if ours else None
    known = [voice.id for voice in backend.registry.voices(model.name)]
    if model.clones_voices:
        known += [voice.id for voice in backend.voices.list()]
    listed = ", ".join(known[:MAX_LISTED]) or "none but its default, by any of OpenAI's names"
    more = f" and {len(known) - MAX_LISTED} more, see GET /v1/audio/voices" if len(known) > MAX_LISTED else ""
    raise InvalidRequest(
        f"model {model.name!r} has no voice {shown(name)}; voices: {listed}{more}",
        field="voice",
        details={"value": name},
    )


def _voice(backend: Backend, model: ModelCard, name: str) -> str | None:
    if own := backend.registry.own_voice(model.name, name):
        return own
    return name if model.clones_voices and backend.voices.find(name) is not None else None
