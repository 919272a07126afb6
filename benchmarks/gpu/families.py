"""Every configured family's tiny checkpoint on the device, against the same on the CPU."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audiograph.schemas import (
    DialogueRequest,
    GenerateMusicRequest,
    Request,
    SeparateRequest,
    SpeakRequest,
    TaskName,
    TranscribeRequest,
    Turn,
)
from benchmarks.bare import BareContext, BareTicket, serve
from benchmarks.gpu.plan import configuration
from benchmarks.gpu.setting import CheckFailed, Result, Setting, Skip
from benchmarks.sounds import write_song
from deployments.config import ModelConfig
from deployments.models.base import AudioOutput, BatchedModel, ContinuousModel, Family, Output
from deployments.models.demucs.passes import device_of
from deployments.models.loading import load
from deployments.models.musicgen.decoder import Conditions
from deployments.models.musicgen.decoder import Decoder as MusicDecoder
from deployments.models.registry import configured_model
from deployments.models.whisper.decoder import Decoder as SpeechDecoder

TEXT = "One, two, three."
REQUESTS: dict[TaskName, Request] = {
    "speak": SpeakRequest(text=TEXT, seed=0),
    "dialogue": DialogueRequest(turns=[Turn(text=TEXT), Turn(text=TEXT)], seed=0),
    "transcribe": TranscribeRequest(file="song"),
    "separate": SeparateRequest(file="song"),
    "generate_music": GenerateMusicRequest(prompt="a waltz", duration=1.0, seed=0),
}
TOLERANCE = 8
"""Largest deviation, relative to the largest number, in units of the precision's rounding."""


def check_family(setting: Setting, name: str) -> Iterator[Result]:
    """Serve a request of the family's first task, and compare the network's numbers with the CPU's.

    Raises:
        CheckFailed: the output has no sound or is not finite, or the numbers deviate too much.
        Skip: a package of the family is not installed here.
    """
    entry = configuration().models[name]
    model = _configured(name, entry)
    request = REQUESTS[model.tasks[0]]
    context = BareContext(write_song(setting.folder / "song.wav", 3, 44_100, channels=2), setting.device)
    variant = entry.default_variant or model.default_variant
    engine = _loaded(model, variant, setting, setting.device)
    start = time.perf_counter()
    output = _served(model, engine, request, context)
    yield {"title": f"{name} serves {model.tasks[0]}", **_facts(output), "run": time.perf_counter() - start}
    reference = _loaded(model, variant, setting, "cpu")
    expected = _served(model, reference, request, BareContext(setting.folder / "song.wav"))
    yield _compared(
        f"{name}, {setting.device} against cpu",
        _numbers(name, model, engine, output),
        _numbers(name, model, reference, expected),
        _rounding(engine),
    )


def _configured(name: str, entry: ModelConfig) -> Family[Any, Any]:
    try:
        model = configured_model(name, entry)
    except ValueError as error:
        raise Skip(str(error)) from error
    if reason := model.missing():
        raise Skip(reason)
    return model


def _loaded(model: Family[Any, Any], variant: str, setting: Setting, device: str) -> Any:
    """Load a tiny checkpoint."""
    return load(model, variant, device, "tiny", setting.folder).engine


def _served(model: Family[Any, Any], engine: Any, request: Request, context: BareContext) -> Output:
    """Serve one request in the model's own way."""
    if isinstance(model, ContinuousModel):
        ticket = BareTicket(request, context)
        serve(model, engine, [ticket], 4)
        outcome: Any = ticket.outcome
    elif isinstance(model, BatchedModel):
        (outcome,) = model.run_batch(engine, [request], [context])
    else:
        outcome = model.run(engine, request, context)  # type: ignore[attr-defined]  # else it is a Model
    if isinstance(outcome, Exception):
        raise outcome
    assert isinstance(outcome, Output)
    return outcome


def _facts(output: Output) -> Result:
    """Return the length of the sound or of the text of an output, once it is checked."""
    sounds = [file.frames() for file in output.files if isinstance(file, AudioOutput)]
    text = str(getattr(output.result, "text", ""))
    if not all(sound.size and np.isfinite(sound).all() for sound in sounds) or not (sounds or text):
        raise CheckFailed("the output is empty or not finite")
    return {"frames": sum(map(len, sounds)), "characters": len(text)}


def _numbers(name: str, model: Family[Any, Any], engine: Any, output: Output) -> Tensor:
    """Return what the network computes before anything is sampled; where that is unknown, the sound."""
    with torch.inference_mode():
        if name in NUMBERS:
            return NUMBERS[name](model, engine).float().cpu()
    sounds = [file.frames() for file in output.files if isinstance(file, AudioOutput)]
    return torch.from_numpy(np.concatenate(sounds))


def _compared(title: str, ours: Tensor, expected: Tensor, rounding: float) -> Result:
    if ours.shape != expected.shape:
        raise CheckFailed(f"{title}: shapes {tuple(ours.shape)} and {tuple(expected.shape)}")
    deviation = float((ours - expected).abs().max() / expected.abs().max())
    if not deviation <= TOLERANCE * rounding:
        raise CheckFailed(
            f"{title}: the largest deviation is {deviation:.3g}, {deviation / rounding:.3g} times the "
            f"precision's rounding of {rounding:.3g}; at most {TOLERANCE} times are expected"
        )
    return {"title": title, "deviation": deviation, "rounding": rounding, "numbers": ours.numel()}


def _rounding(engine: Any) -> float:
    """Return the rounding of the coarsest arithmetic: that of the weights, or TF32's in convolutions."""
    modules = [each for each in (engine, *vars(engine).values()) if isinstance(each, nn.Module)]
    tensors = [weight for module in modules for weight in module.parameters() if weight.is_floating_point()]
    roundings = [torch.finfo(weight.dtype).eps for weight in tensors]
    on_gpu = any(weight.is_cuda for weight in tensors)
    return max([*roundings, 2.0**-10] if on_gpu or not roundings else roundings)


def _music(model: Family[Any, Any], engine: Any) -> Tensor:
    """Return the logits of a few columns that are given."""
    decoder = MusicDecoder(engine.model.decoder, 1)
    tokens = torch.arange(4 * decoder.codebooks, device=decoder.device).view(decoder.codebooks, 4)
    first = decoder.prefill(0, Conditions(), tokens)
    steps = [decoder.step(tokens[None, :, 0], [position]).flatten().clone() for position in (4, 5, 6)]
    return torch.cat([first.flatten(), *steps])


def _speech(model: Family[Any, Any], engine: Any) -> Tensor:
    """Return the encoder's features of a spectrogram of noise."""
    noise = torch.randn(1, engine.dims.n_mels, 3000, generator=torch.Generator().manual_seed(0))
    return SpeechDecoder(engine).encode(noise.to(engine.device), lambda: None)


def _sources(model: Family[Any, Any], engine: Any) -> Tensor:
    """Return the sources of 2 s of noise."""
    noise = torch.randn(1, 2, 88_200, generator=torch.Generator().manual_seed(0))
    sources: Tensor = engine.models[0](noise.to(device_of(engine)))
    return sources


def _first_logits(model: Family[Any, Any], engine: Any) -> Tensor:
    """Return the logits of the pass that the health test makes."""
    logits: list[Tensor] = []
    hook = engine.model.register_forward_hook(lambda _, inputs, output: logits.append(output.logits))
    try:
        model.check_engine(engine)
    finally:
        hook.remove()
    return logits[0]


NUMBERS: dict[str, Callable[[Family[Any, Any], Any], Tensor]] = {
    "musicgen": _music,
    "whisper": _speech,
    "demucs": _sources,
    "dia": _first_logits,
    "higgs": _first_logits,
}
"""What to compare, by name in the configuration."""
