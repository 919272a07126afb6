"""The family `dia`; the configuration names `Dia`."""

from deployments.models.dia.model import Dia

__all__ = ["Dia"]
