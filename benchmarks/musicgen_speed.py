"""Compares MusicGen's continuous batching with transformers' `generate` per request, on the same weights."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from audiograph.schemas import GenerateMusicRequest
from benchmarks.bare import BareContext, BareTicket, serve
from benchmarks.measure import Comparison, Setting, alternate
from deployments.models.loading import load
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.model import MusicGen, MusicGenOptions

CONCURRENCY = (1, 4, 16)
MIN_CAPACITY = 16
"""The decoder has as many rows even for fewer requests, as in the server's default configuration."""
DURATIONS = (2.0, 4.0, 6.0, 8.0)
PROMPT = "80s pop track with bassy drums and synth"
MODEL = MusicGen(MusicGenOptions())


def compare(setting: Setting) -> list[Comparison]:
    """Generate 1, 4 and 16 pieces of 2 to 8 s at once; both contenders generate the same durations."""
    torch.set_num_threads(2)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    engine = load(MODEL, "small", device, "tiny", setting.folder).engine
    rounds = setting.rounds(5)
    return [compare_concurrent(engine, count, DURATIONS, setting.folder, rounds) for count in CONCURRENCY]


def compare_concurrent(
    engine: MusicEngine, count: int, durations: Sequence[float], folder: Path, rounds: int
) -> Comparison:
    """Generate ``count`` pieces, with the durations by turns; the rate is in seconds of music per second."""
    requests = [
        GenerateMusicRequest(prompt=PROMPT, duration=durations[number % len(durations)], seed=number)
        for number in range(count)
    ]
    contenders = {
        "transformers generate, one at a time": partial(_generate, engine, requests),
        "Audiograph": partial(_continuous, engine, requests, folder),
    }
    seconds = sum(request.duration for request in requests)
    title = f"MusicGen, {count} at once, {seconds:g} s of music in total"
    return Comparison(title, alternate(contenders, rounds), seconds, "s of music")


def _generate(engine: MusicEngine, requests: list[GenerateMusicRequest]) -> None:
    model, tokenizer = engine.model, engine.tokenizer
    for request in requests:
        inputs = tokenizer([request.prompt], return_tensors="pt").to(model.device)
        columns = round(request.duration * engine.frame_rate) + 3  # the delays of the other codebooks
        with torch.inference_mode():
            audio = model.generate(**inputs, max_new_tokens=columns, do_sample=True, top_k=250)
        assert audio.shape[-1] == request.duration * engine.sample_rate


def _continuous(engine: MusicEngine, requests: list[GenerateMusicRequest], folder: Path) -> None:
    tickets = [BareTicket(request, BareContext(folder)) for request in requests]
    serve(MODEL, engine, tickets, max(MIN_CAPACITY, len(requests)))
