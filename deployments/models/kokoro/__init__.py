"""The family `kokoro`; the configuration names `Kokoro`."""

from deployments.models.kokoro.model import Kokoro

__all__ = ["Kokoro"]
