"""The family `espeak`; the configuration names `EspeakSpeech`."""

from deployments.models.espeak.model import EspeakSpeech

__all__ = ["EspeakSpeech"]
