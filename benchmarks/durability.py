"""Measures the cost of durability: many small jobs at once, against a server that stores nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import httpx

from audiograph import Audiograph
from benchmarks.measure import Comparison, Setting, alternate
from deployments.serve import child
from deployments.serve.ports import free_port

THREADS = 16
JOBS, QUICK_JOBS = 200, 40
WAIT_SECONDS = 50.0

Speak = Callable[[str], object]


def compare(setting: Setting) -> list[Comparison]:
    """Submit short texts to speak from 16 threads at once."""
    jobs = QUICK_JOBS if setting.quick else JOBS
    texts = [f"This is announcement number {number}." for number in range(jobs)]
    with (
        _bare_server(setting.folder) as bare_url,
        child.audiograph(setting.folder / "server") as url,
        httpx.Client(base_url=bare_url, timeout=WAIT_SECONDS) as bare,
        Audiograph(url) as client,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        methods: dict[str, Speak] = {
            "bare server, espeak in the server": partial(_post, bare, "/in_process"),
            "bare server, espeak in a separate process": partial(_post, bare, "/own_process"),
            "Audiograph": partial(_speak, client),
            "Audiograph, audio downloaded": lambda text: client.artifacts.download(_speak(client, text)),
        }
        contenders = {name: partial(_speak_all, threads, speak, texts) for name, speak in methods.items()}
        seconds = alternate(contenders, setting.rounds(3))
    return [Comparison(f"{jobs} espeak jobs from {THREADS} threads", seconds, amount=jobs, unit="jobs")]


def _bare_server(folder: Path) -> AbstractContextManager[str]:
    port = free_port()
    command = ["-m", "uvicorn", "benchmarks.bare_server:app", "--port", str(port), "--log-level", "warning"]
    return child.process(command, port, folder / "bare_server.log")


def _speak_all(threads: ThreadPoolExecutor, speak: Speak, texts: list[str]) -> None:
    """Speak every text; raise the first exception that one of them raised."""
    for _ in threads.map(speak, texts):
        pass


def _post(server: httpx.Client, path: str, text: str) -> bytes:
    return server.post(path, params={"text": text}).raise_for_status().content


def _speak(client: Audiograph, text: str) -> str:
    """Run a job to its end and return the id of its recording."""
    job = client.jobs.submit("speak", text=text, wait=WAIT_SECONDS)
    assert job.status == "succeeded", job.error
    return job.artifacts[0].id
