"""Small models for the tests of the replica. Requests steer them by `parameters`, tests by `gate`."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np

from audiograph.errors import Canceled, InvalidRequest
from audiograph.schemas import SpeakRequest, SpeakResult, TaskName, Voice
from deployments.models.base import (
    AudioOutput,
    BatchedModel,
    ContinuousModel,
    FileOutput,
    Intake,
    LoadContext,
    Model,
    Options,
    Output,
    RunContext,
    Ticket,
)
from deployments.models.kit.speech_model import SpeechModel, SpeechRequest
from deployments.models.weights.published import Published, PublishedRepository

ENGINES: "WeakSet[ToyEngine]" = WeakSet()
"""Engines that are still referred to."""


class OutOfMemoryError(RuntimeError):
    """Named like PyTorch's."""


class ToyEngine:
    def __init__(self, variant: str, size: int) -> None:
        self.variant = variant
        self.size = size
        ENGINES.add(self)


class ToyMemory:
    """Counts the engines that are alive, so that one still referred to shows."""

    device = "cpu"

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit

    def used(self) -> int:
        return sum(engine.size for engine in list(ENGINES))

    def settle(self) -> int:
        return self.used()


class ToyOptions(Options):
    greeting: str = "hello"


def output(request: SpeakRequest, **fields: Any) -> Output:
    samples = np.sin(np.linspace(0, 300, 8000, dtype=np.float32))
    files: list[AudioOutput | FileOutput] = [
        AudioOutput("speech", samples, 8000),
        FileOutput("words.txt", request.text.encode(), "text/plain"),
    ]
    result = SpeakResult(duration=1.0, sample_rate=8000, channels=1, voice="toy", **fields)
    return Output(result, files if request.parameters.get("files") else [], audio_seconds=1.0)


def text(request: SpeechRequest) -> str:
    return request.text if isinstance(request, SpeakRequest) else "dialogue"


class ToyFamily(SpeechModel[ToyEngine, SpeechRequest]):
    """Loads engines of 100, 200 and 400 bytes, and records each load, unload and check."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak",)
    variants: ClassVar[tuple[str, ...]] = ("small", "medium", "large")
    default_variant = "small"
    options_class = ToyOptions
    sizes: ClassVar[dict[str, int]] = {"small": 100, "medium": 200, "large": 400}

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options or ToyOptions())
        self.loads: list[str] = []
        self.unloads: list[str] = []
        self.gate = threading.Event()
        """Runs with the parameter ``hold`` wait for it, and all runs of models that never check."""
        self.gate.set()
        self.started = threading.Event()
        self.load_gate = threading.Event()
        self.load_gate.set()
        self.loading = threading.Event()
        self.load_error: BaseException | None = None
        self.check_error: Exception | None = None
        self.checks = 0

    @classmethod
    def voices(cls) -> list[Voice]:
        return [Voice(id="anna", name="Anna"), Voice(id="ben", name="Ben")]

    def check_request(self, request: SpeechRequest, variant: str) -> None:
        if text(request) == variant:
            raise InvalidRequest("text must not be the variant", field="text")

    def published(self, variant: str) -> Sequence[Published]:
        return (PublishedRepository(f"toys/{variant}", "MIT"),)

    def load(self, variant: str, context: LoadContext) -> ToyEngine:
        self.loads.append(variant)
        self.loading.set()
        self.load_gate.wait(30)
        if self.load_error:
            raise self.load_error
        return ToyEngine(variant, self.sizes[variant])

    def unload(self, engine: ToyEngine) -> None:
        self.unloads.append(engine.variant)

    def check_engine(self, engine: ToyEngine) -> None:
        self.checks += 1
        if self.check_error:
            raise self.check_error


class Toy(ToyFamily, Model[ToyEngine, SpeechRequest]):
    """Takes as many steps as the request says."""

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.steps_done = 0
        self.running = 0
        self.max_running = 0
        self._lock = threading.Lock()

    def run(self, engine: ToyEngine, request: SpeechRequest, context: RunContext) -> Output:
        assert isinstance(request, SpeakRequest)
        with self._lock:
            self.running += 1
            self.max_running = max(self.max_running, self.running)
        try:
            return self.work(request, context)
        finally:
            with self._lock:
                self.running -= 1

    def work(self, request: SpeakRequest, context: RunContext) -> Output:
        steps = request.parameters.get("steps", 1)
        for step in range(steps):
            context.progress((step + 1) / steps, "stepping")
            self.steps_done += 1
            self.started.set()
            time.sleep(request.parameters.get("seconds", 0))
        if "hold" in request.parameters:
            self.hold(context)
        for part in request.parameters.get("parts", []):
            context.partial({"text": part})
        if error := ERRORS.get(request.parameters.get("error", "")):
            raise error()
        return output(request)

    def hold(self, context: RunContext) -> None:
        """Wait until the gate opens, or the job is canceled."""
        self.started.set()
        while not self.gate.wait(0.01):
            context.check()


class Stubborn(Toy):
    """Never checks for cancellation."""

    def work(self, request: SpeakRequest, context: RunContext) -> Output:
        self.started.set()
        self.gate.wait(30)
        return output(request)


class Pair(Stubborn):
    """Two runs may share an engine."""

    concurrency = 2


class Choir(ToyFamily, BatchedModel[ToyEngine, SpeechRequest]):
    """Serves requests in batches; more than `fits` at once run out of memory."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    fits = 1000

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.batches_run: list[list[str]] = []

    def run_batch(
        self, engine: ToyEngine, requests: Sequence[SpeechRequest], contexts: Sequence[RunContext]
    ) -> Sequence[Output | Exception]:
        self.batches_run.append([text(request) for request in requests])
        self.started.set()
        self.gate.wait(30)
        if len(requests) > self.fits or any(self.error(request) == "memory" for request in requests):
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 KiB. GPU 0 has less.")
        if any(self.error(request) == "poison" for request in requests):
            raise RuntimeError("one of them is poison")
        return [self.sing(request, context) for request, context in zip(requests, contexts, strict=True)]

    def sing(self, request: SpeechRequest, context: RunContext) -> Output | Exception:
        try:
            context.progress(0.5, text(request))
        except Canceled as error:
            return error
        if self.error(request) == "own":
            return ValueError("its own fault")
        return output(request) if isinstance(request, SpeakRequest) else Output(SPOKEN)

    @staticmethod
    def error(request: SpeechRequest) -> str | None:
        return request.parameters.get("error")


class Miscounting(Choir):
    def run_batch(
        self, engine: ToyEngine, requests: Sequence[SpeechRequest], contexts: Sequence[RunContext]
    ) -> Sequence[Output | Exception]:
        return []


class Treadmill(ToyFamily, ContinuousModel[ToyEngine, SpeechRequest]):
    """Serves requests step by step; `steps` records the texts of the requests in each step."""

    fits = 1000
    """Maximum number of requests that fit into memory together."""
    loses = False
    """Whether it ends without finishing its requests."""

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.steps: list[list[str]] = []

    def run_continuous(self, engine: ToyEngine, intake: Intake[SpeechRequest]) -> None:
        left: dict[Ticket[SpeechRequest], int] = {}
        while left := left | {ticket: ticket.request.parameters.get("steps", 1) for ticket in intake.take()}:
            if self.loses:
                return
            self.steps.append([text(ticket.request) for ticket in left])
            self.started.set()
            self.gate.wait(30)
            time.sleep(0.001)
            if len(left) > self.fits:
                raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 KiB. GPU 0 has less.")
            left = {ticket: n - 1 for ticket, n in left.items() if not self.ended(ticket, n - 1)}

    def ended(self, ticket: Ticket[SpeechRequest], steps_left: int) -> bool:
        error = ERRORS.get(ticket.request.parameters.get("error", ""))
        if error and not steps_left:
            raise error()
        try:
            ticket.context.progress(1 / (steps_left + 1), "walking")
        except Canceled as canceled:
            ticket.finish(canceled)
            return True
        if not steps_left:
            assert isinstance(ticket.request, SpeakRequest)
            ticket.finish(output(ticket.request))
        return not steps_left


class Weighty(Toy):
    """Its engines take their size in real memory, and refer to themselves."""

    sizes: ClassVar[dict[str, int]] = {"small": 64 * 2**20, "medium": 8 * 2**20, "large": 8 * 2**20}

    def load(self, variant: str, context: LoadContext) -> ToyEngine:
        loaded = super().load(variant, context)
        loaded.samples = np.ones(loaded.size, np.uint8)  # type: ignore[attr-defined]
        loaded.itself = loaded  # type: ignore[attr-defined]
        return loaded


class Unready(Toy):
    """Lacks a package."""

    @classmethod
    def missing(cls) -> str | None:
        return "install the package toys"

    @classmethod
    def voices(cls) -> list[Voice]:
        raise ImportError("no toys")


class Weightless(Toy):
    """Needs no weights, and has a voice and a variant more."""

    variants = (*Toy.variants, "extra")

    def published(self, variant: str) -> Sequence[Published]:
        return ()

    @classmethod
    def voices(cls) -> list[Voice]:
        return [*super().voices(), Voice(id="zoe", name="Zoe")]


class Latin(Toy):
    """Speaks ASCII alone."""

    def can_speak(self, text: str) -> bool:
        return text.isascii()


class Reader(Toy):
    """Clones voices whose transcripts are known."""

    clones_voices = True
    needs_transcripts = True


class Idle(SpeechModel[ToyEngine, SpeakRequest], Model[ToyEngine, SpeakRequest]):
    """Does not define its verb."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak",)
    variants = ("small",)
    default_variant = "small"

    def load(self, variant: str, context: LoadContext) -> ToyEngine:
        return ToyEngine(variant, 0)


class Taskless(Model[ToyEngine, SpeakRequest]):
    """Does not define its tasks and variants."""

    def load(self, variant: str, context: LoadContext) -> ToyEngine:
        raise NotImplementedError

    def run(self, engine: ToyEngine, request: SpeakRequest, context: RunContext) -> Output:
        raise NotImplementedError


class Repeating(Toy):
    variants = ("small", "small")


SPOKEN = SpeakResult(duration=1.0, sample_rate=8000, channels=1, voice="toy")
NOT_A_MODEL = "a string"
ERRORS: dict[str, Callable[[], BaseException]] = {
    "unexpected": lambda: KeyError("a secret path"),
    "refused": lambda: InvalidRequest("the text is too sad", field="text"),
    "memory": lambda: MemoryError("Unable to allocate 3.00 GiB for an array"),
    "exit": lambda: SystemExit(3),
    "stop": StopIteration,
}


class Baseless(SpeechModel[ToyEngine, SpeakRequest]):
    """Subclasses none of the three bases."""


class Undecided(Toy, BatchedModel[ToyEngine, SpeechRequest]):
    """Subclasses two of the three bases."""

    def run_batch(
        self, engine: ToyEngine, requests: Sequence[SpeechRequest], contexts: Sequence[RunContext]
    ) -> Sequence[Output | Exception]:
        return []


class Voiceless(Model[ToyEngine, SpeakRequest]):
    """Speaks, but is no `SpeechModel`."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak",)
    variants = ("small",)
    default_variant = "small"

    def load(self, variant: str, context: LoadContext) -> ToyEngine:
        return ToyEngine(variant, 0)

    def run(self, engine: ToyEngine, request: SpeakRequest, context: RunContext) -> Output:
        return output(request)


class Giant(Toy):
    """Has one variant, which no other model has."""

    variants = ("giant",)
    default_variant = "giant"
