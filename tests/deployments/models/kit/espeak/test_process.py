"""Processes that speak: their ends, crashes and failures, and the look-up of the library in many threads."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import IO

import pytest

from audiograph.errors import Canceled, InternalError, InvalidRequest
from deployments.models.base import Output
from deployments.models.kit.espeak.process import EspeakProcesses
from tests.deployments.models.fakes import FakeContext
from tests.support.speech import FOX

pytest.importorskip("espeakng_loader")

MANY_THREADS = """
from concurrent.futures import ThreadPoolExecutor
from deployments.models.espeak.model import EspeakSpeech
with ThreadPoolExecutor(16) as threads:
    found = list(threads.map(lambda _: len(EspeakSpeech.voices()), range(64)))
assert len(set(found)) == 1 and found[0] > 100, found
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of all processes that were started."""
    pids: list[int] = []
    start = EspeakProcesses._start

    def remember(self: EspeakProcesses, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        process = start(self, stderr)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(EspeakProcesses, "_start", remember)
    return pids


def assert_ended(pids: list[int]) -> None:
    assert len(pids) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_cancel_ends_the_process(speak: Callable[..., Output], started: list[int]) -> None:
    with pytest.raises(Canceled):
        speak(FOX * 400, context=FakeContext(cancel_after=2))
    assert_ended(started)


def test_a_process_that_hangs_is_ended_by_cancel(
    speak: Callable[..., Output], started: list[int], program: Callable[[str], None]
) -> None:
    program("import time; time.sleep(600)")
    with pytest.raises(Canceled):
        speak(context=FakeContext(cancel_after=1))
    assert_ended(started)


def test_a_crash_of_the_library_is_the_texts_fault(
    speak: Callable[..., Output], program: Callable[[str], None]
) -> None:
    program(f"import os, sys; sys.stdin.read(); os.kill(os.getpid(), {int(signal.SIGSEGV)})")
    with pytest.raises(InvalidRequest, match="SIGSEGV") as caught:
        speak()
    assert caught.value.field == "text"


def test_a_failure_says_what_failed(speak: Callable[..., Output], program: Callable[[str], None]) -> None:
    program("import sys; sys.stdin.read(); sys.exit('no such thing')")
    with pytest.raises(InternalError, match="no such thing"):
        speak()


def test_many_threads_may_ask_for_the_voices_first() -> None:
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", MANY_THREADS], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
