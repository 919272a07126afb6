"""Higgs Audio's own parameters of a request."""

from typing import Annotated

from pydantic import Field, StringConstraints

from deployments.models.kit.parameters import Parameters

Transcript = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class HiggsParameters(Parameters):
    """The ``parameters`` of a request; one second of speech is 25 tokens, each of eight codes."""

    scene_prompt: str | None = Field("Audio is recorded from a quiet room.", max_length=4000)
    """Description of the recording's place and manner; null or an empty text for none."""
    transcription: Transcript | None = None
    """Transcript of the voice of ``speak``; if absent, the stored transcript applies."""
    audio_transcriptions: list[Transcript | None] = Field(default=[], max_length=256)
    """Transcripts of the voices of ``dialogue``, in the order of their first turns."""
    max_new_tokens: int = Field(1024, ge=16, le=8192)
    """Maximum number of tokens for one text. Eight of them make no sound: they begin and end the speech."""
    temperature: float = Field(0.3, ge=0, le=2)
    """0 for greedy decoding: the likeliest token each time."""
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(50, ge=0, le=1026)
    """0 for all tokens."""
    ras_win_len: int | None = Field(7, ge=0, le=1000)
    """Window of the repetition-aware sampling (Chen et al. 2024, VALL-E 2), in tokens: a code that is too
    frequent in it is sampled again, at temperature 1. Null or 0 for no such sampling."""
    ras_win_max_num_repeat: int | None = Field(2, ge=0, le=1000)
    """Occurrences in the window from which a code is too frequent; null or 0 for no such sampling."""

    @property
    def repetition_aware(self) -> bool:
        """True if repetition-aware sampling is on."""
        return bool(self.ras_win_len and self.ras_win_max_num_repeat)
