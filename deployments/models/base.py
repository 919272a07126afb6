"""The model author's interface: a new model is one class in one file, and one entry in the configuration.

An author subclasses one of three bases, by the way the model serves its requests, and implements its verb:

    Model             one request at a time                         ``run``
    BatchedModel      several requests in one pass                  ``run_batch``
    ContinuousModel   requests that join and leave between steps    ``run_continuous``

A model that speaks subclasses `deployments.models.kit.speech_model.SpeechModel` as well.

The code is plain and blocking. `deployments.replica.replica` runs it in threads, and does progress,
cancellation, variants, memory, batching, storage, metrics and health. Nothing here needs a cluster.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from audiograph.schemas import AudioFormat, Request, Result, TaskName
from deployments.audio.recording import AudioStream, Recording
from deployments.models.weights.published import Published

Engine = TypeVar("Engine")
"""A loaded variant, as the family represents it."""
RequestT = TypeVar("RequestT", bound=Request)
"""The class of the requests that a family serves, or a union of classes."""
RequestT_co = TypeVar("RequestT_co", bound=Request, covariant=True)
Samples = NDArray[np.float32]


class Options(BaseModel):
    """A model's own options from its entry in the configuration; subclass it to add fields."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class AudioOutput:
    """Audio to be stored: float32 samples ``[channels, frames]`` or ``[frames]`` within -1..1.

    Samples that are too long for memory are a recording, from `RunContext.recording`.
    """

    name: str
    samples: Samples | Recording
    sample_rate: int
    """Hz."""
    format: AudioFormat = "wav"

    def frames(self) -> Samples:
        """Return all samples as one array ``[frames, channels]``; a recording is read into memory."""
        if isinstance(self.samples, Recording):
            empty = np.zeros((0, self.samples.channels), np.float32)
            return np.concatenate([*self.samples.blocks(), empty])
        return np.atleast_2d(self.samples).T


@dataclass(frozen=True, slots=True)
class FileOutput:
    """Any other file to be stored, such as subtitles or a picture."""

    name: str
    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Output:
    """Result and files of one request. The result refers to files by their names."""

    result: Result
    files: Sequence[AudioOutput | FileOutput] = ()
    audio_seconds: float | None = None
    """Duration of the audio that was read or generated, for the real-time factor."""


@dataclass(frozen=True, slots=True)
class VoiceSample:
    """A recorded voice, for models that clone voices."""

    name: str
    samples: Samples
    """Mono ``[frames]``."""
    sample_rate: int
    """Hz."""
    transcript: str | None
    """The words of the recording; None if they are not known."""


@dataclass(frozen=True, slots=True)
class LoadContext:
    """Device and weights for `Family.load`."""

    device: str
    """``"cpu"`` or ``"cuda"``."""
    work_dir: Path
    """A folder for tiny checkpoints; replicas of one machine share it."""
    weights: tuple[Path, ...] | None
    """Paths of the published weights, verified, in the order of `Family.published`; None for random ones."""


class RunContext(Protocol):
    """Input audio of one request, and its connection to the caller. The model's thread may call all of it."""

    device: str
    """``"cpu"`` or ``"cuda"``."""
    job_id: str

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        """Decode a stored file.

        Returns float32 samples ``[channels, frames]`` (``[frames]`` if mono) and their sample rate in Hz:
        the given one, resampled, or the file's own.

        Raises:
            NotFound: the file does not exist any more.
            InvalidAudio: the file cannot be decoded.
        """
        ...

    def offset(self, file_id: str) -> float:
        """Return the beginning of the sound of a stored file in seconds; 0 unless a picture comes first.

        Times in results count from the beginning of the file, so that subtitles fit the picture.

        Raises:
            NotFound: the file does not exist any more.
        """
        ...

    def voice(self, voice: str, *, sample_rate: int) -> VoiceSample:
        """Load a recorded voice by the id in a checked request, resampled to a sample rate in Hz.

        Raises:
            NotFound: the recording does not exist any more.
            InvalidAudio: the recording cannot be decoded.
        """
        ...

    def stream(self, file_id: str) -> AbstractContextManager[AudioStream]:
        """Decode a stored file block by block, at its own sample rate; it may be too long for memory.

        Raises:
            NotFound: the file does not exist any more.
            InvalidAudio: the file cannot be decoded; reading the blocks may raise it as well.
        """
        ...

    def recording(self, channels: int) -> Recording:
        """Create an empty recording on disk, for samples that may be too long for memory.

        It is deleted when the request is finished and its outputs are stored.
        """
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


class Ticket(Protocol[RequestT_co]):
    """One request of a continuous batch."""

    @property
    def request(self) -> RequestT_co:
        """The request, as `Family.check_request` accepted it."""
        ...

    @property
    def context(self) -> RunContext:
        """The context of this request alone."""
        ...

    def finish(self, outcome: Output | Exception) -> None:
        """Resolve the request, once, with its output or the exception that it alone raised."""
        ...


class Intake(Protocol[RequestT_co]):
    """The source of requests for `ContinuousModel.run_continuous`."""

    capacity: int
    """Maximum number of unfinished requests."""

    def take(self) -> Sequence[Ticket[RequestT_co]]:
        """Take the waiting requests for which there is capacity, without waiting; call it between steps."""
        ...


class Family(ABC, Generic[Engine, RequestT]):
    """Common base of all models: class attributes describe the family, methods load and check it.

    Do not subclass it directly, but `Model`, `BatchedModel` or `ContinuousModel`. The configuration imports
    the class in processes that load nothing, so keep the imports of its module light.
    """

    tasks: ClassVar[tuple[TaskName, ...]]
    unsupported_tasks: ClassVar[Mapping[TaskName, str]] = {}
    """The reason why a task is not served, for tasks that one might expect of the family."""
    variants: ClassVar[tuple[str, ...]]
    default_variant: ClassVar[str]
    checkpoint: ClassVar[str | None] = None
    """The published name of the weights."""
    options_class: ClassVar[type[Options]] = Options
    concurrency: ClassVar[int] = 1
    """Number of runs that may share one engine at a time; a batch counts as one."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @classmethod
    def missing(cls) -> str | None:
        """Return a sentence about the package that must be installed here first; None if there is none."""
        return None

    def check_request(self, request: RequestT, variant: str) -> None:
        """Refuse a request that this model cannot serve, before a job exists.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
        """

    def published(self, variant: str) -> Sequence[Published]:
        """List the published weights of a variant; none for a model that works without weights.

        They are fetched and verified before `load`. Import nothing heavy: the ingress asks as well.
        """
        return ()

    @abstractmethod
    def load(self, variant: str, context: LoadContext) -> Engine:
        """Load a variant with the weights of the context. Runs in a thread; import heavy packages here."""

    def unload(self, engine: Engine) -> None:
        """Release resources that the garbage collector does not: handles, threads, memory maps."""

    def check_engine(self, engine: Engine) -> None:
        """Test an idle engine cheaply; raise if it is broken."""

    def postprocess(self, request: RequestT, output: Output) -> Output:
        """Return the output to store, after the run and without the engine. Runs in a thread."""
        return output


class Model(Family[Engine, RequestT]):
    """A model that serves one request at a time."""

    @abstractmethod
    def run(self, engine: Engine, request: RequestT, context: RunContext) -> Output:
        """Serve one request. Runs in a thread; report progress, or `check`, at every model step."""


class BatchedModel(Family[Engine, RequestT]):
    """A model that serves several requests in one pass, because the device is faster that way."""

    @abstractmethod
    def run_batch(
        self, engine: Engine, requests: Sequence[RequestT], contexts: Sequence[RunContext]
    ) -> Sequence[Output | Exception]:
        """Serve several requests of one task. Runs in a thread.

        Returns one entry per request, in order: its output, or the exception that it alone raised (Canceled
        if its context raised that). If the batch raises, it is split in halves, and each half is retried.
        """


class ContinuousModel(Family[Engine, RequestT]):
    """A model that works in steps, between which requests join and leave the running batch."""

    @abstractmethod
    def run_continuous(self, engine: Engine, intake: Intake[RequestT]) -> None:
        """Serve requests step by step until none is left. Runs in a thread.

        Take waiting requests between steps, and finish each ticket as soon as its own work is done, or with
        Canceled if its context raised that; `deployments.models.kit.continuous` has the loop. An exception
        that is raised here reaches all unfinished requests: they are split in halves, and each half is
        retried from its start.
        """
