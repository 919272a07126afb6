"""Reads written text aloud: numbers, dates, units and so on become the words that are spoken."""

from deployments.models.kokoro.reading.spans import Reading, read

__all__ = ["Reading", "read"]
