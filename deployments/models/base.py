"""The model author's interface. A new model is one subclass of `Model` in one file, and one config entry.

The author writes plain blocking code; `deployments.replica.replica` runs it in threads and does progress,
cancel, variants, memory, batching, storage, metrics and health. Nothing here needs a cluster.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from audiograph.schemas import AudioFormat, Request, Result, TaskName, Voice, Weights
from deployments.audio.recording import AudioStream, Recording
from deployments.config import WeightsPolicy
from deployments.models.voices import check_transcripts, recast

Engine = TypeVar("Engine")
Samples = NDArray[np.float32]


class Options(BaseModel):
    """A model's own options from its config entry; subclass it to add some. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class AudioOutput:
    """Audio that a model made: float32 samples ``[channels, frames]`` or ``[frames]`` within -1..1.

    Samples that are too long for memory come as a recording, from `RunContext.recording`.
    """

    name: str
    samples: Samples | Recording
    sample_rate: int
    format: AudioFormat = "wav"


@dataclass(frozen=True, slots=True)
class FileOutput:
    """Any other file that a model made, such as subtitles or a picture."""

    name: str
    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Output:
    """What a run gives back. ``{artifact:NAME}`` needs no resolving: results name files by their names."""

    result: Result
    files: Sequence[AudioOutput | FileOutput] = ()
    audio_seconds: float | None = None
    """Seconds of audio heard or made, for the real-time factor."""


@dataclass(frozen=True, slots=True)
class VoiceSample:
    """A recorded voice: what a model that clones voices hears of it."""

    name: str
    samples: Samples
    """Mono ``[frames]``."""
    sample_rate: int
    transcript: str | None
    """What is said in it, where that is known."""


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What `Model.load` is given: where to put the engine, and which weights to take."""

    device: str
    """``"cpu"`` or ``"cuda"``."""
    policy: WeightsPolicy
    work_dir: Path
    """A folder for tiny checkpoints and downloads; shared by replicas of one machine."""


class RunContext(Protocol):
    """What `Model.run` is given beside the request. All of it may be called from the model's thread."""

    device: str
    job_id: str

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        """Decode a stored file.

        Returns float32 samples ``[channels, frames]`` (``[frames]`` if mono) and their sample rate in Hz:
        the given one, resampled, or the file's own.

        Raises:
            NotFound: the file is gone.
            InvalidAudio: it cannot be decoded.
        """
        ...

    def voice(self, voice: str, *, sample_rate: int) -> VoiceSample:
        """A recorded voice, resampled, by the id that a checked request names.

        Raises:
            NotFound: its recording is gone.
            InvalidAudio: it cannot be decoded.
        """
        ...

    def stream(self, file_id: str) -> AbstractContextManager[AudioStream]:
        """Decode a stored file block by block, at its own rate, for what may be too long for memory.

        Raises:
            NotFound: the file is gone.
            InvalidAudio: it cannot be decoded; this may turn out while its blocks are read.
        """
        ...

    def recording(self, channels: int) -> Recording:
        """An empty recording on disk, for samples that may be too long for memory. It ends with the run."""
        ...

    def progress(self, fraction: float, stage: str | None = None) -> None:
        """Report progress, 0..1. Cheap to call often: reports are coalesced. Raises Canceled like `check`."""
        ...

    def partial(self, data: dict[str, Any]) -> None:
        """Send a part of the result, such as a segment of a transcription, as an event at once."""
        ...

    def check(self) -> None:
        """Raise `audiograph.errors.Canceled` if the job was canceled. Call it once per model step."""
        ...


class Ticket(Protocol):
    """One request in a batch in flight."""

    @property
    def request(self) -> Any:
        """What is asked."""
        ...

    @property
    def context(self) -> RunContext:
        """Its own line to its caller."""
        ...

    def finish(self, outcome: Output | Exception) -> None:
        """Hand over its output, or the exception that it alone met, and free its seat. Once."""
        ...


class Intake(Protocol):
    """Where `Model.run_in_flight` gets its requests from, while others of them run."""

    seats: int
    """The most requests that may be unfinished at a time."""

    def take(self) -> Sequence[Ticket]:
        """Whatever waits and finds a free seat, now; it does not wait. Call it between steps."""
        ...


@dataclass(slots=True)
class Loaded(Generic[Engine]):
    """A loaded variant: the engine, and what its weights are."""

    engine: Engine
    weights: Weights = "none"


class Model(ABC, Generic[Engine]):
    """One model family. Class attributes are read without loading anything; keep module imports light."""

    tasks: ClassVar[tuple[TaskName, ...]]
    reasons_not_to: ClassVar[Mapping[TaskName, str]] = {}
    """Why it does not serve a task that one might expect of it."""
    variants: ClassVar[tuple[str, ...]]
    default_variant: ClassVar[str]
    needs_weights: ClassVar[bool] = True
    """False for models without weights: everything then says ``weights: "none"``."""
    checkpoint: ClassVar[str | None] = None
    """What its authors call the weights that it is known for."""
    clones_voices: ClassVar[bool] = False
    """True for models whose requests may name recorded voices, which come by `RunContext.voice`."""
    needs_transcripts: ClassVar[bool] = False
    """True if it can only clone a voice whose transcript is known."""
    options_class: ClassVar[type[Options]] = Options
    concurrency: ClassVar[int] = 1
    """How many runs may share one engine at a time (run_batch counts as one)."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @classmethod
    def missing(cls) -> str | None:
        """What must be installed before this model can run here, as a sentence; None if nothing."""
        return None

    @classmethod
    def voices(cls) -> list[Voice]:
        """The voices that ``voice`` may name; empty if the model has none to name."""
        return []

    def own_speed(self, speed: float) -> float:
        """The speed that ``run`` gives its speech by itself, where so much is asked of ``speak``.

        What is missing is made up for afterwards, by stretching what was spoken; the pitch stays.
        """
        return 1.0

    def check_request(self, request: Request, variant: str) -> None:
        """Refuse what this model cannot do, before a job exists.

        Raises:
            InvalidRequest: with the field, the value and what would be right.
        """

    def without_voices(self, request: Request, missing: Collection[str]) -> Request:
        """A copy of a checked request in which the default voice speaks for voices that are not there."""
        return recast(request, dict.fromkeys(missing))

    def check_voices(self, request: Request, transcripts: Mapping[str, str | None]) -> None:
        """Refuse recorded voices that this model cannot clone, before a job exists.

        Args:
            request: checked, and `without_voices` that are not there.
            transcripts: what is said in each recorded voice that it names; None where that is not known.

        Raises:
            InvalidRequest: with the field, the voice and what would be right.
        """
        if self.needs_transcripts:
            check_transcripts(request, transcripts)

    @abstractmethod
    def load(self, variant: str, context: LoadContext) -> Loaded[Engine]:
        """Load a variant. Runs in a thread; heavy imports belong here.

        Raises:
            WeightsMissing: the policy is ``pretrained`` and the weights are neither here nor to be fetched.
        """

    def run(self, engine: Engine, request: Any, context: RunContext) -> Output:
        """Serve one request. Runs in a thread; report progress and `check` at every model step.

        Not needed by a model that defines `run_batch` or `run_in_flight`.
        """
        raise NotImplementedError

    def run_batch(
        self, engine: Engine, requests: Sequence[Any], contexts: Sequence[RunContext]
    ) -> Sequence[Output | Exception]:
        """Serve several requests in one pass; define it where the device gains by it.

        Returns one entry per request, in order: its output, or the exception that it alone met (Canceled
        for a request whose context says so). A batch that raises is split in halves, and each tried again.
        """
        raise NotImplementedError  # replaced where a model batches; `batches` tells

    def run_in_flight(self, engine: Engine, intake: Intake) -> None:
        """Serve requests that come and go while others run; define it where a model works step by step.

        Take what waits between steps, finish each ticket as soon as its own work is done (with Canceled,
        where its context says so), and return when none is left. What is raised here is met by all that are
        unfinished: they are split in halves, and each half is tried again from its start.
        """
        raise NotImplementedError  # replaced where a model batches in flight; `batches_in_flight` tells

    @classmethod
    def batches(cls) -> bool:
        """Whether the class defines `run_batch`."""
        return cls.run_batch is not Model.run_batch

    @classmethod
    def batches_in_flight(cls) -> bool:
        """Whether the class defines `run_in_flight`."""
        return cls.run_in_flight is not Model.run_in_flight

    def unload(self, engine: Engine) -> None:
        """Let go of what the garbage collector would not: handles, threads, memory maps."""

    def check_engine(self, engine: Engine) -> None:
        """A cheap health test of an idle engine; raise if it is broken."""
