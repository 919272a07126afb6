"""What a request may set of Higgs Audio, beyond text, voices and seed."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from audiograph.errors import InvalidRequest

Transcript = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class HiggsParameters(BaseModel):
    """The ``parameters`` of a request; the model makes 25 tokens a second, each of eight codes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    scene_prompt: str | None = Field("Audio is recorded from a quiet room.", max_length=4000)
    """Where and how it is recorded; null or an empty text for none."""
    transcription: Transcript | None = None
    """What the voice of ``speak`` says in its recording; its own transcript if absent."""
    audio_transcriptions: list[Transcript | None] = Field(default=[], max_length=256)
    """The same for ``dialogue``: one for each voice, in the order in which they first speak."""
    max_new_tokens: int = Field(1024, ge=16, le=8192)
    """The most that are made of one text. Eight of them are spent on beginning and ending."""
    temperature: float = Field(0.3, ge=0, le=2)
    """0 takes the likeliest token each time."""
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(50, ge=0, le=1026)
    """0 for all."""
    ras_win_len: int | None = Field(7, ge=0, le=1000)
    """Repetition-aware sampling (Chen et al. 2024, VALL-E 2): a code that was drawn too often in so many
    frames is drawn anew. Null or 0 for none."""
    ras_win_max_num_repeat: int | None = Field(2, ge=0, le=1000)
    """How often that is; null or 0 for no repetition-aware sampling."""

    @property
    def repetition_aware(self) -> bool:
        """Whether repetition-aware sampling is on."""
        return bool(self.ras_win_len and self.ras_win_max_num_repeat)


def checked(parameters: Mapping[str, Any]) -> HiggsParameters:
    """The parameters of a request, with defaults for those that are absent.

    Raises:
        InvalidRequest: one is unknown, of the wrong type or out of range.
    """
    try:
        return HiggsParameters.model_validate(parameters)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(["parameters", *map(str, fault["loc"])])
    if fault["type"] == "extra_forbidden":
        known = ", ".join(HiggsParameters.model_fields)
        raise InvalidRequest(f"{field} is unknown; higgs takes {known}", field=field)
    value = fault["input"]
    right = fault["msg"].removeprefix("Input ")
    raise InvalidRequest(f"{field} {right}, not {value!r:.80}", field=field, details={"value": value})
