"""What a request may set of Chatterbox, beyond text, voices and seed."""

from pydantic import Field

from deployments.models.kit.parameters import Parameters

MOST_TOKENS = 1000
"""40 s, as far as the package lets the model go."""
LEAST_TEMPERATURE = 0.05


class ChatterboxParameters(Parameters):
    """The ``parameters`` of a request; the model makes 25 tokens a second."""

    exaggeration: float = Field(0.5, ge=0, le=2)
    """How much emotion there is in the voice; 0.5 is neutral, and more is also faster."""
    temperature: float = Field(0.75, ge=0, le=5)
    """At least `LEAST_TEMPERATURE` is taken."""
    cfg_weight: float = Field(0.5, ge=0, le=2)
    """Classifier-free guidance by the text; 0 for none. Less is slower, and has less of a voice's accent."""
    disable_watermark: bool = False
    """Leave out the inaudible mark that tells that the audio was made by a model (Resemble AI's Perth)."""
    max_new_tokens: int = Field(MOST_TOKENS, ge=1, le=8192)
    """At most `MOST_TOKENS` are made."""
    top_p: float = Field(1.0, ge=0, le=1)
    min_p: float = Field(0.05, ge=0, le=1)
    """Tokens that are less likely than this fraction of the likeliest are not drawn."""
    repetition_penalty: float = Field(1.2, gt=0, le=10)
    top_k: int | None = Field(None, ge=0, le=8194)
    """Ignored: the package has none."""

    def followed(self) -> tuple["ChatterboxParameters", list[str]]:
        """The parameters as they can be followed, and notes of what is ignored or had to be changed."""
        changes: dict[str, float] = {}
        notes = []
        if self.top_k is not None:
            notes.append("top_k was ignored: Chatterbox draws by min_p, top_p and repetition_penalty.")
        if self.temperature < LEAST_TEMPERATURE:
            changes["temperature"] = LEAST_TEMPERATURE
            notes.append(
                f"temperature was raised from {self.temperature:g} to {LEAST_TEMPERATURE:g}, the least that "
                "Chatterbox takes."
            )
        if self.max_new_tokens > MOST_TOKENS:
            changes["max_new_tokens"] = MOST_TOKENS
            notes.append(
                f"max_new_tokens was lowered from {self.max_new_tokens} to {MOST_TOKENS}, the most that "
                "Chatterbox makes."
            )
        return self.model_copy(update=changes), notes
