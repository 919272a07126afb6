"""MusicGen large: CUDA graphs against plain steps, and steps against the memory's speed and transformers."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from unittest import mock

import torch
from torch import Tensor

from audiograph.schemas import GenerateMusicRequest
from benchmarks import full_size
from benchmarks.bare import BareContext, BareTicket, serve
from benchmarks.gpu.setting import CheckFailed, Result, Setting, rate
from benchmarks.musicgen_speed import MODEL, PROMPT
from deployments.models.musicgen.cuda_graphs import StepGraphs
from deployments.models.musicgen.decoder import Conditions, Decoder
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.generator import GenerationParams
from deployments.models.musicgen.sampling import Sampling
from deployments.models.musicgen.tiny import START_TOKEN

ROWS = 4
FRAMES = (150, 600, 100, 50, 200)
"""Lengths of the compared pieces: more than rows, and one that makes the cache grow while others run."""
PIECES = (1, 8, 32)
PIECE_SECONDS = 4.0
STEPS = 20
"""Number of decoder steps in one timing."""
POSITION = 100
"""Position of the timed steps in the sequence, in frames."""


def check_graphs(setting: Setting) -> Iterator[Result]:
    """Compare the tokens of captured and plain steps, and those of a piece alone and among others.

    Raises:
        CheckFailed: tokens differ.
    """
    engine = full_size.musicgen_large(setting.device, tiny=setting.tiny)
    frames = setting.pick(FRAMES, (5, 20, 10))
    results = []
    for do_sample in (False, True):
        pieces = [_piece(engine, length, number, do_sample) for number, length in enumerate(frames)]
        captured = _codes(engine, pieces)
        with plain_steps():
            plain = _codes(engine, pieces)
        kind = "sampled" if do_sample else "greedy"
        results.append(_compared(f"{kind} tokens, CUDA graphs against plain steps", captured, plain))
        yield results[-1]
        alone = _codes(engine, pieces[:1])
        results.append(
            _compared(f"{kind} tokens of a piece, alone against among others", alone, captured[:1])
        )
        yield results[-1]
    if different := [result["title"] for result in results if result["different"]]:
        raise CheckFailed(f"not equal: {'; '.join(different)}")


@contextmanager
def plain_steps() -> Iterator[None]:
    """Run every step operation by operation, without a CUDA graph."""

    def run(graphs: StepGraphs, tokens: Tensor, positions: Tensor, attended: int) -> Tensor:
        return graphs._step(tokens, positions, attended)

    with mock.patch.object(StepGraphs, "run", run):
        yield


def _piece(engine: MusicEngine, frames: int, seed: int, do_sample: bool) -> GenerationParams:
    sampling = Sampling(do_sample=do_sample)
    with torch.inference_mode():
        conditions = engine.conditions(f"{PROMPT}, number {seed}")
    return GenerationParams(frames, sampling, seed, conditions, prompt=None)


@torch.inference_mode()
def _codes(engine: MusicEngine, pieces: Sequence[GenerationParams]) -> list[Tensor]:
    """Generate the codes ``[codebooks, frames]`` of all pieces, which join one by one."""
    generator = engine.generator(ROWS)
    waiting, running = deque(enumerate(pieces)), dict[int, int]()
    codes: dict[int, Tensor] = {}
    while waiting or running:
        if waiting and len(running) < ROWS:
            number, piece = waiting.popleft()
            running[generator.begin(piece)] = number
        for row, complete in generator.step().items():
            codes[running.pop(row)] = complete.cpu()
            generator.drop(row)
    generator.release()
    return [codes[number] for number in range(len(pieces))]


def _compared(title: str, ours: Sequence[Tensor], expected: Sequence[Tensor]) -> Result:
    differences = [one != other for one, other in zip(ours, expected, strict=True)]
    first = [int(each.any(0).nonzero()[0]) for each in differences if each.any()]
    return {
        "title": title,
        "tokens": sum(each.numel() for each in differences),
        "different": sum(int(each.sum()) for each in differences),
        "first_different_frame": min(first, default=None),
    }


def measure(setting: Setting) -> Iterator[Result]:
    """Measure steps per second at several numbers of pieces."""
    engine = full_size.musicgen_large(setting.device, tiny=setting.tiny)
    yield _read_weights(setting, engine)
    for pieces in setting.pick(PIECES, (1, 2)):
        yield from _steps(setting, engine, pieces)
        yield _audiograph(setting, engine, pieces)
        yield _transformers(setting, engine, pieces)


def _read_weights(setting: Setting, engine: MusicEngine) -> Result:
    """Read as many bytes as a step has weights: the bound of its speed."""
    decoder = engine.model.decoder
    modules = (decoder.model.decoder.layers, decoder.lm_heads)
    size = sum(p.numel() * p.element_size() for module in modules for p in module.parameters())
    buffer = torch.zeros(size // 4, device=setting.device)

    def read() -> None:
        for _ in range(STEPS):
            buffer.sum()

    title = f"reading the decoder's weights of {size / 1e9:.2f} GB once"
    return rate(setting, title, read, STEPS, "steps", rounds=5)


def _steps(setting: Setting, engine: MusicEngine, rows: int) -> Iterator[Result]:
    """Measure the decoder's step alone, with CUDA graphs and without."""
    step = partial(_step, _started(engine, rows))
    title = f"{rows} pieces: the decoder's step"
    yield rate(setting, title, step, STEPS, "steps", rounds=5)
    with plain_steps():
        yield rate(setting, f"{title}, without CUDA graphs", step, STEPS, "steps", rounds=3)


@torch.inference_mode()
def _started(engine: MusicEngine, rows: int) -> Decoder:
    """Start a sequence without a prompt in every row."""
    decoder = Decoder(engine.model.decoder, rows)
    start = torch.full((decoder.codebooks, 1), START_TOKEN, device=decoder.device)
    for row in range(rows):
        decoder.prefill(row, Conditions(), start)
    return decoder


@torch.inference_mode()
def _step(decoder: Decoder) -> None:
    tokens = torch.zeros(decoder.rows, decoder.codebooks, dtype=torch.long, device=decoder.device)
    for _ in range(STEPS):
        decoder.step(tokens, [POSITION] * decoder.rows)


def _audiograph(setting: Setting, engine: MusicEngine, pieces: int) -> Result:
    """Generate pieces at once, from the request to the samples."""
    seconds = setting.pick(PIECE_SECONDS, 0.5)
    requests = [
        GenerateMusicRequest(prompt=PROMPT, duration=seconds, seed=number) for number in range(pieces)
    ]

    def generate() -> None:
        context = BareContext(setting.folder, setting.device)
        serve(MODEL, engine, [BareTicket(request, context) for request in requests], pieces)

    title = f"{pieces} pieces of {seconds:g} s: Audiograph, from requests to samples"
    return rate(setting, title, generate, _columns(engine, seconds), "steps")


def _transformers(setting: Setting, engine: MusicEngine, pieces: int) -> Result:
    """Generate a batch of equally long pieces by transformers' `generate`, on the same weights."""
    seconds = setting.pick(PIECE_SECONDS, 0.5)
    columns = _columns(engine, seconds)
    inputs = engine.tokenizer([PROMPT] * pieces, return_tensors="pt").to(engine.model.device)

    @torch.inference_mode()
    def generate() -> None:
        audio = engine.model.generate(**inputs, max_new_tokens=columns, do_sample=True, top_k=250)
        assert audio.shape[-1] == round(seconds * engine.sample_rate)

    title = f"{pieces} pieces of {seconds:g} s: transformers' generate, one batch"
    return rate(setting, title, generate, columns, "steps")


def _columns(engine: MusicEngine, seconds: float) -> int:
    """Return the number of steps of a piece, with the delays of the other codebooks."""
    return round(seconds * engine.frame_rate) + int(engine.model.decoder.num_codebooks) - 1
