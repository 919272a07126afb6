"""The family `demucs`; the configuration names `Demucs`."""

from deployments.models.demucs.model import Demucs

__all__ = ["Demucs"]
