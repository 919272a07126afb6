"""The family `whisper`; the configuration names `Whisper`."""

from deployments.models.whisper.model import Whisper

__all__ = ["Whisper"]
