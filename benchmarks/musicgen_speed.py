"""MusicGen in flight against transformers' `generate`, one request after the other, on the same weights."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from audiograph.schemas import GenerateMusicRequest
from benchmarks.bare import BareContext, BareTicket, fly
from benchmarks.measure import Comparison, Setting, alternate
from deployments.models.base import LoadContext
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.model import MusicGen, MusicGenOptions

CONCURRENCY = (1, 4, 16)
SEATS = 16
DURATIONS = (2.0, 4.0, 6.0, 8.0)
PROMPT = "80s pop track with bassy drums and synth"
MODEL = MusicGen(MusicGenOptions())


def compare(setting: Setting) -> list[Comparison]:
    """The same requests, of 2 to 8 s, at 1, 4 and 16 at a time; each makes as much music either way."""
    torch.set_num_threads(2)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    engine = MODEL.load("small", LoadContext(device, "tiny", setting.folder)).engine
    rounds = setting.rounds(5)
    return [at_once(engine, count, DURATIONS, setting.folder, rounds) for count in CONCURRENCY]


def at_once(
    engine: MusicEngine, count: int, durations: Sequence[float], folder: Path, rounds: int
) -> Comparison:
    """So many requests, of these durations by turns, in seconds of music a second."""
    requests = [
        GenerateMusicRequest(prompt=PROMPT, duration=durations[number % len(durations)], seed=number)
        for number in range(count)
    ]
    contenders = {
        "transformers generate, one by one": partial(_generate, engine, requests),
        "in flight": partial(_in_flight, engine, requests, folder),
    }
    seconds = sum(request.duration for request in requests)
    title = f"{count} pieces of music at once, {seconds:g} s in all"
    return Comparison(title, alternate(contenders, rounds), seconds, "s of music")


def _generate(engine: MusicEngine, requests: list[GenerateMusicRequest]) -> None:
    model, tokenizer = engine.model, engine.tokenizer
    for request in requests:
        inputs = tokenizer([request.prompt], return_tensors="pt").to(model.device)
        columns = round(request.duration * engine.frame_rate) + 3  # the delays of the other codebooks
        with torch.inference_mode():
            made = model.generate(**inputs, max_new_tokens=columns, do_sample=True, top_k=250)
        assert made.shape[-1] == request.duration * engine.sample_rate


def _in_flight(engine: MusicEngine, requests: list[GenerateMusicRequest], folder: Path) -> None:
    fly(
        MODEL,
        engine,
        [BareTicket(request, BareContext(folder)) for request in requests],
        max(SEATS, len(requests)),
    )
