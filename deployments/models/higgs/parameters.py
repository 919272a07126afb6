"""What a request may set of Higgs Audio, beyond text, voices and seed."""

from typing import Annotated

from pydantic import Field, StringConstraints

from deployments.models.kit.parameters import Parameters

Transcript = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class HiggsParameters(Parameters):
    """The ``parameters`` of a request; the model makes 25 tokens a second, each of eight codes."""

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
