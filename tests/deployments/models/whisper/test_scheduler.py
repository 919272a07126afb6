"""Whisper's continuous batch: requests that share the decoder have the results that they have alone."""

import asyncio
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import whisper
from torch import Tensor
from whisper import Whisper as Network

from audiograph.errors import Canceled, NotFound
from audiograph.schemas import TranscribeRequest
from deployments.models.whisper import scheduler as whisper_scheduler
from deployments.models.whisper import token_rules as whisper_tokens
from deployments.models.whisper.decoder import Decoder
from deployments.models.whisper.hypothesis import Hypothesis
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.models.whisper.scheduler import Scheduler
from tests.deployments.models.fakes import FakeContext, FakeIntake, FakeTicket, serve
from tests.deployments.replica.stage import Stage
from tests.support.transcription import noise, noise_ticket, result_of

MODEL = Whisper(WhisperOptions())

pytestmark = pytest.mark.usefixtures("one_thread")

MIXED: tuple[dict[str, Any], ...] = (
    {"seconds": 28.0},
    {"seconds": 3.0, "language": "de"},
    {"seconds": 40.0, "word_timestamps": True},
    {"seconds": 5.0, "prompt": "Zoë and Ångström"},
    {"seconds": 12.0, "temperature": 0.6},
    {"seconds": 9.0, "language": "ja", "translate": True},
)
"""Requests that differ in everything."""
FEW: dict[str, Any] = {"sample_len": 48}
"""Maximum number of tokens of a window, as whisper calls it: random text hardly ever ends by itself."""

Ticket = FakeTicket[TranscribeRequest]


def exact_result(ticket: Ticket) -> dict[str, Any]:
    """Return the result without its probabilities, whose last digits depend on the batch."""
    inexact = {"segments": {"__all__": {"avg_logprob", "no_speech_prob"}}}
    return result_of(ticket.output).model_dump(exclude=inexact)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),  # with as many tokens per window as whisper allows
        ({"prompt": "Hello Zoë"}, FEW | {"initial_prompt": "Hello Zoë", "carry_initial_prompt": True}),
        ({"language": "ja", "translate": True}, FEW | {"language": "ja", "task": "translate"}),
    ],
    ids=str,
)
def test_every_token_is_whispers_own(
    babbler: Network, ours: dict[str, Any], theirs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper_tokens, "MAX_TOKENS", theirs.get("sample_len", whisper_tokens.MAX_TOKENS))
    durations = (30, 4)
    tickets = [
        noise_ticket(seconds, seed=seed, temperature=0.0, **ours) for seed, seconds in enumerate(durations)
    ]
    serve(MODEL, babbler, *tickets)
    for seed, ticket in enumerate(tickets):
        result = result_of(ticket.output)
        samples = noise(durations[seed], seed)[0]
        language = theirs.get("language", result.language)
        options = {**theirs, "language": language, "temperature": 0.0, "fp16": False}
        expected = whisper.transcribe(babbler, samples, condition_on_previous_text=False, **options)
        assert result.text == expected["text"].strip()
        assert len(set(result.text)) >= 5


@pytest.mark.parametrize(
    ("network", "requests"),
    [
        ("engine", MIXED),
        ("babbler", [{"temperature": 0.0, **fields, "seconds": 3.0 + n} for n, fields in enumerate(MIXED)]),
    ],
    ids=["scripted", "babbling"],
)
def test_neighbors_make_no_difference(
    network: str,
    requests: Sequence[dict[str, Any]],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whisper_tokens, "MAX_TOKENS", FEW["sample_len"])
    engine: Network = request.getfixturevalue(network)
    alone = [noise_ticket(seed=n, **fields) for n, fields in enumerate(requests)]
    together = [noise_ticket(seed=n, **fields) for n, fields in enumerate(requests)]
    for ticket in alone:
        serve(MODEL, engine, ticket)
    staggered = [(n * 3, ticket) for n, ticket in enumerate(together)]
    MODEL.run_continuous(engine, FakeIntake(staggered, capacity=8))
    for ours, expected in zip(together, alone, strict=True):
        assert exact_result(ours) == exact_result(expected)
        assert ours.context.partials == [
            {"segment": segment.model_dump(exclude_none=True)} for segment in result_of(ours.output).segments
        ]


def test_a_long_recording_does_not_hold_up_a_short_one(
    engine: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[Ticket] = []
    monkeypatch.setattr(FakeTicket, "finish", lambda self, outcome: order.append(self))
    long, short = noise_ticket(100), noise_ticket(3)
    small = Whisper(WhisperOptions(batch_size=2))
    small.run_continuous(engine, FakeIntake([(0, long), (5, short)]))
    assert order == [short, long]


def test_a_canceled_request_leaves_and_its_neighbors_stay(engine: Network) -> None:
    stays, leaves = noise_ticket(70), noise_ticket(100, cancel_after=30)
    serve(MODEL, engine, stays, leaves)
    assert isinstance(leaves.outcome, Canceled)
    assert leaves.context.checks == 31
    assert len(result_of(stays.output).segments) == 6


def test_the_window_of_a_canceled_request_is_not_encoded_to_its_end(
    engine: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers: list[None] = []

    class Counting(Decoder):
        def encode(self, mel: Tensor, check: Callable[[], None]) -> Tensor:
            def counting() -> None:
                layers.append(None)
                check()

            return super().encode(mel, counting)

    monkeypatch.setattr(whisper_scheduler, "Decoder", Counting)
    leaves = noise_ticket(3, cancel_after=3)
    serve(MODEL, engine, leaves)
    assert isinstance(leaves.outcome, Canceled)
    assert len(layers) == 1


def test_an_error_of_one_recording_is_its_own(engine: Network) -> None:
    missing, found = FakeTicket(TranscribeRequest(file="missing")), noise_ticket(3)
    serve(MODEL, engine, missing, found)
    assert isinstance(missing.outcome, NotFound)
    assert result_of(found.output).text


def test_a_recording_too_large_for_memory_fails_alone(
    engine: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, small = noise_ticket(4), noise_ticket(3)
    decode = FakeContext.audio

    def audio(context: FakeContext, *args: Any, **kwargs: Any) -> Any:
        if context is large.context:
            raise MemoryError("unable to allocate 40 GiB")
        return decode(context, *args, **kwargs)

    monkeypatch.setattr(FakeContext, "audio", audio)
    serve(MODEL, engine, large, small)
    assert isinstance(large.outcome, MemoryError)
    assert result_of(small.output).text


def test_segments_are_sent_in_order_though_windows_end_out_of_order(
    engine: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first window is decoded at several temperatures, and ends last."""
    needs_fallback = Hypothesis.needs_fallback

    def strict(hypothesis: Hypothesis) -> bool:
        needs_fallback(hypothesis)
        return hypothesis.window.start == 0 and hypothesis.decoded.temperature < 0.5

    monkeypatch.setattr(Hypothesis, "needs_fallback", strict)
    ticket = noise_ticket(100)
    serve(MODEL, engine, ticket)
    segments = [partial["segment"] for partial in ticket.context.partials]
    starts = [segment["start"] for segment in segments]
    assert len(starts) == 8
    assert starts == sorted(starts)
    assert [segment["id"] for segment in segments] == list(range(8))


def test_each_request_of_a_batch_has_its_own_language(engine: Network) -> None:
    """Given or detected, also if windows of all requests are decoded together."""
    tickets = [noise_ticket(40, language=language) for language in ("de", None, "fr")]
    serve(MODEL, engine, *tickets)
    assert [result_of(ticket.output).language for ticket in tickets] == ["de", "en", "fr"]


def test_ten_minutes_take_no_more_memory_than_their_samples(
    engine: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[torch.Size] = []
    encode = Decoder.encode

    def recording(decoder: Decoder, mel: Tensor, check: Callable[[], None]) -> Tensor:
        shapes.append(mel.shape)
        return encode(decoder, mel, check)

    monkeypatch.setattr(Decoder, "encode", recording)
    ticket = noise_ticket(600, language="en")
    tracemalloc.start()
    serve(MODEL, engine, ticket)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {tuple(shape) for shape in shapes} == {(1, 80, 3000)}
    assert peak < 3 * 600 * 16_000 * 4
    segments = result_of(ticket.output).segments
    assert segments[-1].start > 570
    assert len(segments) == 2 * len(shapes)


async def test_requests_of_a_batcher_share_the_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[set[str]] = []
    fill = Scheduler._fill

    def recording(scheduler: Scheduler) -> None:
        fill(scheduler)
        batches.append({hypothesis.transcription.request.file for hypothesis in scheduler._hypotheses})

    monkeypatch.setattr(Scheduler, "_fill", recording)
    stage = Stage(MODEL, tmp_path)
    samples = {"long": noise(100), "short": noise(3)}
    monkeypatch.setattr(
        "deployments.replica.context.ReplicaContext.audio",
        lambda self, file, **_: (samples[file][0], 16_000),
    )
    monkeypatch.setattr("deployments.replica.context.ReplicaContext.offset", lambda self, file: 0.0)
    tasks = [stage.submit_request(name, TranscribeRequest(file=name), variant="tiny") for name in samples]
    long, short = [result_of(completed.output) for completed in await asyncio.gather(*tasks)]
    assert {"long", "short"} in batches
    assert (len(long.segments), len(short.segments)) == (8, 2)
    partials = [event["data"]["segment"] for event in stage.events["long"] if event["type"] == "partial"]
    assert partials == [segment.model_dump(exclude_none=True) for segment in long.segments]


def test_times_count_from_the_beginning_of_the_file(engine: Network) -> None:
    plain, late = (noise_ticket(40.0, word_timestamps=True) for _ in range(2))
    late.context.offsets[late.request.file] = 2.95
    serve(MODEL, engine, plain)
    serve(MODEL, engine, late)
    before, after = result_of(plain.output), result_of(late.output)
    assert after.duration == before.duration
    for ours, theirs in zip(after.segments, before.segments, strict=True):
        assert (ours.start, ours.end) == pytest.approx((theirs.start + 2.95, theirs.end + 2.95))
        for our, their in zip(ours.words or [], theirs.words or [], strict=True):
            assert (our.start, our.end) == pytest.approx((their.start + 2.95, their.end + 2.95))
    assert [part["segment"]["start"] for part in late.context.partials] == [
        segment.start for segment in after.segments
    ]
    srt = next(file.content for file in late.output.files if file.name.endswith(".srt"))
    assert after.segments[0].start >= 2.95
    assert b"00:00:0" + f"{after.segments[0].start:.3f}".replace(".", ",").encode() in srt
