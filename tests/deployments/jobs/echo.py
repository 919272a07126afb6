"""A model that follows the parameters of its request, and a process that runs its jobs.

`run` is one runner, without Ray: the model's replica is played by `EchoHandle`, and the graph calls it as
often as the request says.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from ray.exceptions import ActorUnavailableError

from audiograph.errors import InvalidAudio
from audiograph.schemas import Request, SpeakRequest
from deployments.config import AppConfig
from deployments.jobs.graph import Models, Outcome
from deployments.jobs.runner import Runner
from deployments.models.base import LoadContext, Model, Output, RunContext
from deployments.models.kit.speech_model import SpeechModel
from deployments.replica.protocol import Call, Message, Result
from deployments.storage.artifacts import ArtifactStore, Provenance
from graphs.registry import GRAPHS


class Echo(SpeechModel[None, SpeakRequest], Model[None, SpeakRequest]):
    """Named by the configuration; its runs are `EchoHandle`'s."""

    tasks = ("speak",)
    variants = ("plain",)
    default_variant = "plain"

    def load(self, variant: str, context: LoadContext) -> None:
        return

    def run(self, engine: None, request: SpeakRequest, context: RunContext) -> Output:
        raise AssertionError("the runner's tests go through EchoHandle")


class EchoHandle:
    """Streams the messages of a replica. ``parameters``: steps, delay, fail, replica_deaths."""

    def __init__(self, store: ArtifactStore, journal: Path) -> None:
        self._store = store
        self._journal = journal

    async def stream(self, call: Call) -> AsyncGenerator[Message, None]:
        request, parameters = call["request"], call["request"]["parameters"]
        self._note("start", call)
        try:
            if call["attempt"] <= parameters.get("replica_deaths", 0):
                raise ActorUnavailableError("the replica died", None)
            steps = parameters.get("steps", 2)
            for step in range(steps):
                await asyncio.sleep(parameters.get("delay", 0.0))
                progress = (step + 1) / steps
                yield {"type": "progress", "progress": progress, "stage": f"step {step}", "eta_seconds": None}
            if "fail" in parameters:
                error = InvalidAudio(parameters["fail"], field="file", details={"why": "told to"})
                yield {"type": "failure", "error": error.to_wire()}
                return
            yield await asyncio.to_thread(self._result, call, request)
            self._note("end", call)
        except (GeneratorExit, asyncio.CancelledError):
            self._note("cut", call)
            raise

    def _result(self, call: Call, request: dict[str, Any]) -> Result:
        made = Provenance(job_id=call["job_id"], task="speak", model="echo", variant="plain", weights="none")
        artifact = self._store.put_artifact(
            "echo.txt", request["text"].encode(), "text/plain", provenance=made
        )
        result = {
            "task": "speak",
            "voice": "echo",
            "duration": 1.0,
            "sample_rate": 8000,
            "channels": 1,
            "notes": ["the model's own"],
        }
        return {
            "type": "result",
            "result": result,
            "artifacts": [artifact.id],
            "audio": None,
            "weights": "none",
            "timings": {"queue": 0.0, "load": 0.0, "run": 1.0, "audio_seconds": 1.0},
        }

    def _note(self, what: str, call: Call) -> None:
        with self._journal.open("a") as journal:
            journal.write(f"{what} {call['job_id']} {call['request']['text']}\n")


async def repeated(request: Request, models: Models) -> Outcome:
    """Call the model ``parameters.calls`` times, one after the other; the last outcome counts."""
    assert isinstance(request, SpeakRequest)
    for _ in range(request.parameters.get("calls", 1) - 1):
        await models.run(request)
    return await models.run(request)


def run(config_path: Path, ready: Event) -> None:
    """Run the jobs of a configuration until SIGTERM, and write the replicas' journal beside it."""
    config = AppConfig.model_validate_json(config_path.read_text())
    asyncio.run(_run(config, config_path.with_suffix(".journal"), ready))


async def _run(config: AppConfig, journal: Path, ready: Event) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    store = ArtifactStore.open(config.storage)
    runner = Runner(config, {"echo": EchoHandle(store, journal)}, {**GRAPHS, "speak": repeated})
    await runner.start()
    ready.set()
    await stopping.wait()
    await runner.stop()
