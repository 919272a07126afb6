"""Replicas come with work, more of them with more of it, and go when it is gone."""

import time

import pytest

from audiograph import Audiograph
from tests.serve.guarded.conftest import NIMBLE
from tests.sounds import wav_bytes

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

JOBS = 8
PATIENCE = 90.0


def replicas(client: Audiograph) -> int:
    return len(client.models.get("hpss").replicas)


def wait_for_none(client: Audiograph) -> None:
    deadline = time.monotonic() + PATIENCE
    while replicas(client):
        assert time.monotonic() < deadline, f"a replica is still there after {PATIENCE:g} s without work"
        time.sleep(0.5)


def test_replicas_come_and_go_with_the_work(guest: Audiograph) -> None:
    wait_for_none(guest)
    file = guest.files.upload(wav_bytes(seconds=40.0), name="tone.wav").id
    jobs = [guest.jobs.submit("separate", file=file, model="hpss") for _ in range(JOBS)]
    most = 0
    for job in jobs:
        while not guest.jobs.get(job).finished:
            most = max(most, replicas(guest))
            time.sleep(0.2)
    assert {guest.jobs.get(job).status for job in jobs} == {"succeeded"}
    assert most == NIMBLE["max_replicas"]

    wait_for_none(guest)
    again = guest.jobs.wait(guest.jobs.submit("separate", file=file, model="hpss"), timeout=PATIENCE)
    assert again.status == "succeeded"
