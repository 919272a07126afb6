"""A model that reports the version of transformers in its environment."""

import numpy as np

from audiograph.schemas import SpeakRequest
from deployments.models.base import LoadContext, Model, Output, RunContext
from deployments.models.kit.dialogue import SpokenPart, speech_output
from deployments.models.kit.speech_model import SpeechModel

RATE = 8000


class Versions(SpeechModel[str, SpeakRequest], Model[str, SpeakRequest]):
    """Speaks silence, with the version as a note."""

    tasks = ("speak",)
    variants = ("any",)
    default_variant = "any"

    def load(self, variant: str, context: LoadContext) -> str:
        import transformers

        return str(transformers.__version__)

    def run(self, engine: str, request: SpeakRequest, context: RunContext) -> Output:
        silence = SpokenPart("silence", request.text, np.zeros(RATE, np.float32))
        return speech_output(silence, RATE, request.format, [engine])
