"""Autoscaling: replicas start with work, more of them with more work, and stop without it."""

import time

import pytest

from audiograph import Audiograph
from audiograph.errors import JobCanceled
from tests.serve.guarded.conftest import FAST_AUTOSCALING

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

JOBS = 8
PATIENCE = 120.0


def wait_for_replicas(client: Audiograph, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(client.models.get("mock").replicas) != count:
        assert time.monotonic() < deadline, f"not {count} replicas after {PATIENCE:g} s"
        time.sleep(0.5)


def test_replicas_start_and_stop_with_the_work(guest: Audiograph) -> None:
    wait_for_replicas(guest, 0)
    jobs = [guest.jobs.submit("speak", text="Take your time.", model="mock") for _ in range(JOBS)]
    wait_for_replicas(guest, FAST_AUTOSCALING["max_replicas"])
    assert {guest.jobs.get(job).status for job in jobs} == {"running"}
    for job in jobs:
        guest.jobs.cancel(job)
        with pytest.raises(JobCanceled):
            guest.jobs.wait(job, timeout=PATIENCE)
    wait_for_replicas(guest, 0)
