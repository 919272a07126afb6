"""The Prometheus series of a model."""

from typing import Any

import pytest
from ray.serve import metrics

from deployments.replica.lanes import RunTimings
from deployments.replica.metrics import ModelMetrics

TAGS = {"model": "toy", "variant": "small", "task": "speak"}


def test_every_series_has_its_name_and_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float, dict[str, str]]] = []

    def series(kind: str) -> None:
        class Series:
            def __init__(
                self, name: str, *, tag_keys: tuple[str, ...], description: str, boundaries: Any = None
            ) -> None:
                assert description
                self.name, self.tag_keys = name, tag_keys

            def record(self, value: float = 1, *, tags: dict[str, str]) -> None:
                assert set(tags) == set(self.tag_keys)
                seen.append((self.name, value, tags))

            inc = observe = set = record

        monkeypatch.setattr(metrics, kind, Series)

    for kind in ("Counter", "Gauge", "Histogram"):
        series(kind)
    toy = ModelMetrics("toy")
    toy.ended("small", "speak", "succeeded")
    toy.ran("small", "speak", RunTimings(queue=0.5, load=9.0, run=2.0), 4.0)
    toy.ran("small", "speak", RunTimings(queue=0.5, load=9.0, run=2.0), None)
    toy.loaded("small", 100)
    assert seen == [
        ("audiograph_model_requests_total", 1, {**TAGS, "outcome": "succeeded"}),
        ("audiograph_model_queue_wait_seconds", 0.5, TAGS),
        ("audiograph_model_run_seconds", 2.0, TAGS),
        ("audiograph_model_real_time_factor", 0.5, TAGS),
        ("audiograph_model_queue_wait_seconds", 0.5, TAGS),
        ("audiograph_model_run_seconds", 2.0, TAGS),
        ("audiograph_model_loaded_bytes", 100, {"model": "toy", "variant": "small"}),
    ]


def test_ray_takes_them_without_a_cluster() -> None:
    toy = ModelMetrics("toy")
    toy.ended("small", "speak", "succeeded")
    toy.ran("small", "speak", RunTimings(queue=0.5, load=9.0, run=2.0), 4.0)
    toy.loaded("small", 100)
