"""The model that README.md adds: one file and one entry."""

import pytest

from audiograph import Audiograph
from audiograph.schemas import DescribeResult
from tests.support.readme import added_model
from tests.support.sounds import tone, wav_bytes

pytestmark = pytest.mark.cluster


def test_it_starts_from_zero_and_serves_its_task(guest: Audiograph) -> None:
    (name,) = added_model()[1]
    before = guest.models.get(name)
    assert (before.tasks, before.weights, before.replicas) == (["describe"], "none", [])

    job = guest.describe(wav_bytes(tone(level=1.0)), timeout=120)
    assert (job.model, job.variant, job.weights) == (name, before.default_variant, "none")
    assert isinstance(job.result, DescribeResult)
    assert job.result.text == "A loud recording of -3.0 dB."  # a full-scale sine
    assert job.timings is not None
    assert job.timings.audio_seconds == pytest.approx(1.0)

    (replica,) = guest.models.get(name).replicas
    assert [loaded.variant for loaded in replica.loaded] == [before.default_variant]


def test_its_variants_can_be_chosen(guest: Audiograph) -> None:
    for variant, word in (("music", "soft"), ("speech", "loud")):
        job = guest.describe(wav_bytes(tone(level=0.15)), variant=variant, timeout=120)
        assert isinstance(job.result, DescribeResult)
        assert job.result.text == f"A {word} recording of -19.5 dB."
