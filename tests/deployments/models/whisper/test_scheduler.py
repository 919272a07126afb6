"""Several requests in one decoder: each gets what it would have got alone, and none waits for another."""

import asyncio
import tracemalloc

import numpy as np
import pytest
import torch
import whisper
from whisper.model import ModelDimensions
from whisper.model import Whisper as Network
from whisper.tokenizer import get_tokenizer

from audiograph.errors import Canceled, NotFound
from audiograph.schemas import TranscribeRequest
from deployments.models.base import LoadContext
from deployments.models.whisper import scheduler as whisper_scheduler
from deployments.models.whisper import token_rules as whisper_tokens
from deployments.models.whisper.decoder import Decoder
from deployments.models.whisper.model import Whisper, WhisperOptions
from tests.deployments.models.fakes import FakeContext, FakeIntake, FakeTicket, serve
from tests.deployments.replica.stage import Stage

MODEL = Whisper(WhisperOptions())

pytestmark = pytest.mark.usefixtures("one_thread")
MIXED = (
    {"seconds": 28.0},
    {"seconds": 3.0, "language": "de"},
    {"seconds": 40.0, "word_timestamps": True},
    {"seconds": 5.0, "prompt": "Zoë and Ångström"},
    {"seconds": 12.0, "temperature": 0.6},
    {"seconds": 9.0, "language": "ja", "translate": True},
)
"""Requests that differ in everything that there is."""
FEW = {"sample_len": 48}
"""The most tokens of a window, as whisper calls it: babble hardly ever ends by itself."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return MODEL.load("tiny", LoadContext("cpu", "tiny", tmp_path_factory.mktemp("work"))).engine


@pytest.fixture(scope="module")
def babbler():
    """Random in every weight: what it says hangs on each token, each sample and each rounding error."""
    dims = ModelDimensions(80, 1500, 64, 2, 2, 51865, 448, 64, 2, 2)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)  # its making draws from the global generator
        network = Network(dims).eval()
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2)
    return network


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (1, round(seconds * 16_000))).astype(np.float32)


def ticket(seconds=3.0, *, seed=0, cancel_after=None, **fields):
    context = FakeContext({"talk": (noise(seconds, seed), 16_000)}, cancel_after=cancel_after)
    return FakeTicket(TranscribeRequest(file="talk", **fields), context)


def heard(one):
    return one.output.result.model_dump(exclude={"segments": {"__all__": {"avg_logprob", "no_speech_prob"}}})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),  # with as many tokens a window as there may be
        ({"prompt": "Hello Zoë"}, FEW | {"initial_prompt": "Hello Zoë", "carry_initial_prompt": True}),
        ({"language": "ja", "translate": True}, FEW | {"language": "ja", "task": "translate"}),
    ],
    ids=str,
)
def test_every_token_is_whispers_own(babbler, ours, theirs, monkeypatch):
    monkeypatch.setattr(whisper_tokens, "MAX_TOKENS", theirs.get("sample_len", whisper_tokens.MAX_TOKENS))
    tickets = [ticket(seconds, seed=seed, temperature=0.0, **ours) for seed, seconds in enumerate((30, 4))]
    serve(MODEL, babbler, *tickets)
    for seed, one in enumerate(tickets):
        samples = noise((30, 4)[seed], seed)[0]
        language = theirs.get("language", one.output.result.language)
        options = {**theirs, "language": language, "temperature": 0.0, "fp16": False}
        expected = whisper.transcribe(babbler, samples, condition_on_previous_text=False, **options)
        assert one.output.result.text == expected["text"].strip()
        assert len(set(one.output.result.text)) >= 5


@pytest.mark.parametrize(
    ("network", "requests"),
    [
        ("engine", MIXED),
        ("babbler", [{"temperature": 0.0, **one, "seconds": 3.0 + n} for n, one in enumerate(MIXED)]),
    ],
    ids=["scripted", "babbling"],
)
def test_neighbours_make_no_difference(network, requests, request, monkeypatch):
    monkeypatch.setattr(whisper_tokens, "MAX_TOKENS", FEW["sample_len"])
    network = request.getfixturevalue(network)
    alone = [ticket(seed=n, **one) for n, one in enumerate(requests)]
    together = [ticket(seed=n, **one) for n, one in enumerate(requests)]
    for one in alone:
        serve(MODEL, network, one)
    later = [(n * 3, one) for n, one in enumerate(together)]
    MODEL.run_continuous(network, FakeIntake(later, capacity=8))
    for ours, expected in zip(together, alone, strict=True):
        assert heard(ours) == heard(expected)
        assert ours.context.partials == [
            {"segment": part.model_dump(exclude_none=True)} for part in ours.output.result.segments
        ]


def test_a_long_recording_does_not_hold_up_a_short_one(engine, monkeypatch):
    order = []
    monkeypatch.setattr(FakeTicket, "finish", lambda self, outcome: order.append(self))
    long, short = ticket(100), ticket(3)
    small = Whisper(WhisperOptions(batch_size=2))
    small.run_continuous(engine, FakeIntake([(0, long), (5, short)]))
    assert order == [short, long]


def test_a_canceled_request_leaves_and_its_neighbours_stay(engine):
    stays, leaves = ticket(70), ticket(100, cancel_after=30)
    serve(MODEL, engine, stays, leaves)
    assert isinstance(leaves.outcome, Canceled)
    assert leaves.context.checks == 31
    assert len(stays.output.result.segments) == 6


def test_what_nobody_waits_for_is_not_encoded_to_its_end(engine, monkeypatch):
    layers = []

    class Noting(Decoder):
        def encode(self, mel, check):
            return super().encode(mel, lambda: layers.append(1) or check())

    monkeypatch.setattr(whisper_scheduler, "Decoder", Noting)
    leaves = ticket(3, cancel_after=3)
    serve(MODEL, engine, leaves)
    assert isinstance(leaves.outcome, Canceled)
    assert len(layers) == 1


def test_what_is_wrong_with_one_recording_is_its_own(engine):
    lost, found = FakeTicket(TranscribeRequest(file="lost")), ticket(3)
    serve(MODEL, engine, lost, found)
    assert isinstance(lost.outcome, NotFound)
    assert found.output.result.text


def test_sentences_go_out_in_order_though_windows_end_out_of_it(engine, monkeypatch):
    """The first window is tried again and again, and ends last."""
    judge = whisper_scheduler.Row.must_begin_again

    def strict(row):
        judge(row)
        return row.window.start == 0 and row.text.temperature < 0.5

    monkeypatch.setattr(whisper_scheduler.Row, "must_begin_again", strict)
    one = ticket(100)
    serve(MODEL, engine, one)
    starts = [partial["segment"]["start"] for partial in one.context.partials]
    assert len(starts) == 8
    assert starts == sorted(starts)
    assert [partial["segment"]["id"] for partial in one.context.partials] == list(range(8))


def test_languages_are_told_apart_within_a_batch(engine):
    """Each request's own, given or detected, also where windows of all are decoded together."""
    tickets = [ticket(40, language=language) for language in ("de", None, "fr")]
    serve(MODEL, engine, *tickets)
    assert [one.output.result.language for one in tickets] == ["de", "en", "fr"]


def test_ten_minutes_take_no_more_memory_than_their_samples(engine, monkeypatch):
    sizes = []
    encode = Decoder.encode
    monkeypatch.setattr(
        Decoder, "encode", lambda self, mel, check: sizes.append(mel.shape) or encode(self, mel, check)
    )
    one = ticket(600, language="en")
    tracemalloc.start()
    serve(MODEL, engine, one)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {tuple(shape) for shape in sizes} == {(1, 80, 3000)}
    assert peak < 3 * 600 * 16_000 * 4
    result = one.output.result
    assert result.segments[-1].start > 570
    assert len(result.segments) == 2 * len(sizes)


def test_rows_take_each_others_places(babbler):
    """Three rows, of which the first leaves: the third goes on in its place as if nothing had been."""
    tokenizer = get_tokenizer(True, language="en", task="transcribe")
    initial = list(tokenizer.sot_sequence)
    features = torch.randn(3, 1500, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        decoder, lonely = Decoder(babbler), Decoder(babbler)
        decoder.start(decoder.join(features), [initial] * 3)
        decoder.leave(0)
        lonely.start(lonely.join(features[2:]), [initial])
        together = decoder.step([11, 12], [3, 3])
        alone = lonely.step([11], [3])
    assert torch.allclose(together[0], alone[0], atol=1e-4)
    assert not torch.allclose(together[1], alone[0], atol=1e-4)


async def test_requests_of_a_batcher_share_a_flight(tmp_path, monkeypatch):
    flights = []
    fill = whisper_scheduler.Scheduler._fill

    def noting(scheduler):
        fill(scheduler)
        flights.append({row.transcription.request.file for row in scheduler._rows})

    monkeypatch.setattr(whisper_scheduler.Scheduler, "_fill", noting)
    stage = Stage(Whisper(WhisperOptions()), tmp_path)
    samples = {"long": noise(100), "short": noise(3)}
    monkeypatch.setattr(
        "deployments.replica.context.ReplicaContext.audio",
        lambda self, file, **_: (samples[file][0], 16_000),
    )
    tasks = [
        asyncio.create_task(stage._submit(name, "tiny", TranscribeRequest(file=name))) for name in samples
    ]
    long, short = [ran.output.result for ran in await asyncio.gather(*tasks)]
    assert {"long", "short"} in flights
    assert (len(long.segments), len(short.segments)) == (8, 2)
    partials = [event["data"]["segment"] for event in stage.events["long"] if event["type"] == "partial"]
    assert partials == [part.model_dump(exclude_none=True) for part in long.segments]
