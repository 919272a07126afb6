"""The family `chatterbox`; the configuration names `Chatterbox`."""

from deployments.models.chatterbox.model import Chatterbox

__all__ = ["Chatterbox"]
