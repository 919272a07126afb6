"""The family `higgs`; the configuration names `Higgs`."""

from deployments.models.higgs.model import Higgs

__all__ = ["Higgs"]
