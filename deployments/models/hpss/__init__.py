"""The family `hpss`; the configuration names `Hpss`."""

from deployments.models.hpss.model import Hpss

__all__ = ["Hpss"]
