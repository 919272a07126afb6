"""What a durable job costs: many small ones at once, against a server that keeps nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import httpx

from audiograph import Audiograph
from benchmarks.measure import Comparison, Setting, alternate
from deployments.serve import child as child_server
from deployments.serve.ports import free_port

THREADS = 16
JOBS, QUICK_JOBS = 200, 40
WAIT_SECONDS = 50.0

Speak = Callable[[str], object]


def compare(setting: Setting) -> list[Comparison]:
    """Short texts to speech, from as many threads as an office has people."""
    jobs = QUICK_JOBS if setting.quick else JOBS
    texts = [f"This is announcement number {number}." for number in range(jobs)]
    with (
        _bare_server(setting.folder) as bare_url,
        child_server.audiograph(setting.folder / "server") as url,
        httpx.Client(base_url=bare_url, timeout=WAIT_SECONDS) as bare,
        Audiograph(url) as client,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        ways: dict[str, Speak] = {
            "keeps nothing, espeak in the server": partial(_ask, bare, "/in_process"),
            "keeps nothing, espeak in a process of its own": partial(_ask, bare, "/own_process"),
            "Audiograph": partial(_speak, client),
            "Audiograph, audio fetched": lambda text: client.artifacts.download(_speak(client, text)),
        }
        contenders = {name: partial(_all, threads, speak, texts) for name, speak in ways.items()}
        seconds = alternate(contenders, setting.rounds(3))
    return [Comparison(f"{jobs} espeak jobs from {THREADS} threads", seconds, amount=jobs, unit="jobs")]


def _bare_server(folder: Path) -> AbstractContextManager[str]:
    port = free_port()
    command = ["-m", "uvicorn", "benchmarks.bare_server:app", "--port", str(port), "--log-level", "warning"]
    return child_server.process(command, port, folder / "bare_server.log")


def _all(threads: ThreadPoolExecutor, speak: Speak, texts: list[str]) -> None:
    """Speak every text, and raise what any of them raised."""
    for _ in threads.map(speak, texts):
        pass


def _ask(server: httpx.Client, path: str, text: str) -> bytes:
    return server.post(path, params={"text": text}).raise_for_status().content


def _speak(client: Audiograph, text: str) -> str:
    """The id of the recording, once the job has succeeded."""
    job = client.jobs.submit("speak", text=text, wait=WAIT_SECONDS)
    assert job.status == "succeeded", job.error
    return job.artifacts[0].id
