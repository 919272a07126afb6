"""Requests are checked in many threads at once, in a process that must not fall with one of them."""

import subprocess
import sys

STORM = """
from concurrent.futures import ThreadPoolExecutor
from deployments.models.espeak.model import EspeakSpeech
with ThreadPoolExecutor(16) as threads:
    found = list(threads.map(lambda _: len(EspeakSpeech.voices()), range(64)))
assert len(set(found)) == 1 and found[0] > 100, found
"""


def test_many_threads_may_ask_for_the_voices_first() -> None:
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", STORM], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
