"""Measurements that end in every way, for tests of the worker."""

from collections.abc import Iterator

from benchmarks.gpu.plan import Measurement
from benchmarks.gpu.setting import Result, Setting, Skip


def measurement(function: str, expected_seconds: float = 30, argument: str | None = None) -> Measurement:
    """Return a measurement by one of the functions below."""
    return Measurement(function, f"{__name__}:{function}", expected_seconds, argument)


def works(setting: Setting) -> Iterator[Result]:
    yield {"title": "first", "value": 1}
    yield {"title": "second", "value": 2}


def breaks(setting: Setting) -> Iterator[Result]:
    yield {"title": "before the fault", "value": 1}
    raise ZeroDivisionError("a figure was 0")


def needs_more(setting: Setting) -> Iterator[Result]:
    raise Skip("no package for it")
    yield {}


def takes_an_argument(setting: Setting, argument: str) -> Iterator[Result]:
    yield {"title": argument}
