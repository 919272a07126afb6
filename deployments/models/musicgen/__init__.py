"""The family `musicgen`; the configuration names `MusicGen`."""

from deployments.models.musicgen.model import MusicGen

__all__ = ["MusicGen"]
