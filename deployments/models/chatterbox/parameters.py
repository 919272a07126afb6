"""Chatterbox's own parameters of a request."""

from pydantic import Field

from deployments.models.kit.parameters import Parameters

MAX_TOKENS = 1000
"""40 s of speech, the limit of the package."""
MIN_TEMPERATURE = 0.05


class ChatterboxParameters(Parameters):
    """The ``parameters`` of a request; one second of speech is 25 tokens."""

    exaggeration: float = Field(0.5, ge=0, le=2)
    """Emotion in the voice; 0.5 is neutral, and more is also faster."""
    temperature: float = Field(0.75, ge=0, le=5)
    """Sampling temperature; less than 0.05 is raised to 0.05."""
    cfg_weight: float = Field(0.5, ge=0, le=2)
    """Classifier-free guidance by the text; 0 for none. Less is slower, with less of a voice's accent."""
    disable_watermark: bool = False
    """Omit the inaudible watermark that marks generated audio (Resemble AI's Perth)."""
    max_new_tokens: int = Field(MAX_TOKENS, ge=1, le=8192)
    """Maximum number of tokens; more than 1000 is lowered to 1000."""
    top_p: float = Field(1.0, ge=0, le=1)
    min_p: float = Field(0.05, ge=0, le=1)
    """Minimum probability of a token, as a fraction of that of the likeliest."""
    repetition_penalty: float = Field(1.2, gt=0, le=10)
    top_k: int | None = Field(None, ge=0, le=8194)
    """Ignored: the package has no top-k sampling."""

    def supported(self) -> tuple["ChatterboxParameters", list[str]]:
        """Return the parameters within the package's limits, and notes about ignored or changed ones."""
        changes: dict[str, float] = {}
        notes = []
        if self.top_k is not None:
            notes.append("top_k was ignored: Chatterbox samples by min_p, top_p and repetition_penalty.")
        if self.temperature < MIN_TEMPERATURE:
            changes["temperature"] = MIN_TEMPERATURE
            notes.append(
                f"temperature was raised from {self.temperature:g} to {MIN_TEMPERATURE:g}, the minimum of "
                "Chatterbox."
            )
        if self.max_new_tokens > MAX_TOKENS:
            changes["max_new_tokens"] = MAX_TOKENS
            notes.append(
                f"max_new_tokens was lowered from {self.max_new_tokens} to {MAX_TOKENS}, the maximum of "
                "Chatterbox."
            )
        return self.model_copy(update=changes), notes
