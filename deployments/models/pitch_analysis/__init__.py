"""The family `pitch_analysis`; the configuration names `PitchAnalysis`."""

from deployments.models.pitch_analysis.model import PitchAnalysis

__all__ = ["PitchAnalysis"]
