"""MusicGen's step as a CUDA graph: it can be captured, and on a GPU its numbers stay the same."""

from pathlib import Path

import pytest
import torch

from audiograph.schemas import GenerateMusicRequest
from deployments.models.base import Samples
from deployments.models.loading import load
from deployments.models.musicgen.cuda_graphs import StepGraphs
from deployments.models.musicgen.decoder import Conditions, Decoder
from deployments.models.musicgen.engine import MusicEngine
from tests.deployments.models.fakes import FakeTicket, serve
from tests.support.music import MODEL, music_of

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_step_is_one_graph_that_never_waits_for_the_device(variant: str, tmp_path: Path) -> None:
    engine = load(MODEL, variant, "cpu", "tiny", tmp_path).engine
    decoder = Decoder(engine.model.decoder, rows=2)
    tokens = torch.full((2, decoder.codebooks), 2048)
    with torch.inference_mode():
        for row in range(2):
            decoder.prefill(row, Conditions(), tokens[:1].T)
        plain = decoder.step(tokens, [1, 1])
        # With fullgraph, it is an error to read a value from the device or to break out of the graph.
        whole = torch.compile(decoder._step, backend="aot_eager", fullgraph=True)
        captured = whole(tokens, torch.tensor([1, 1]), 64)
    torch.testing.assert_close(captured, plain)


@ON_GPU
def test_captured_steps_equal_plain_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(MODEL, "small", "cuda", "tiny", tmp_path).engine
    captured = greedy_music(engine)
    monkeypatch.setattr(
        StepGraphs,
        "run",
        lambda graphs, tokens, positions, attended: graphs._step(tokens, positions, attended),
    )
    for ours, plain in zip(captured, greedy_music(engine), strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), torch.from_numpy(plain))


def greedy_music(engine: MusicEngine) -> list[Samples]:
    """Generate pieces of several durations that join in turn and make the caches grow."""
    tickets = [
        FakeTicket(GenerateMusicRequest(prompt="a waltz " * n, duration=1.0 + 2 * n, do_sample=False))
        for n in range(1, 7)
    ]
    serve(MODEL, engine, *tickets, capacity=4)
    return [music_of(ticket.output) for ticket in tickets]
