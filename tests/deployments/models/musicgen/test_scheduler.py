"""MusicGen's continuous batch: requests that share it have the music that they have alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audiograph.errors import Canceled, InvalidAudio, InvalidRequest, NotFound
from audiograph.schemas import GenerateMusicRequest
from deployments.models.base import Output
from deployments.models.musicgen.engine import MusicEngine
from tests.deployments.models.fakes import FakeContext, FakeIntake, FakeTicket, serve
from tests.support.music import (
    FILE,
    MODEL,
    RATE,
    music,
    music_of,
    music_ticket,
    result_of,
    tune_context,
)

pytestmark = pytest.mark.usefixtures("one_thread")

Load = Callable[[str], MusicEngine]

# Rows do not depend on each other

NEIGHBORS: list[dict[str, Any]] = [
    {"duration": 0.6, "seed": 1, "temperature": 0.7, "top_k": 50},
    {"duration": 2.3, "seed": 2, "guidance_scale": 5.0, "top_k": 0, "top_p": 0.9},
    {"prompt": "a much longer description of a piece for forty trombones and a glockenspiel", "seed": 3},
    {"duration": 1.2, "do_sample": False},
    {"prompt": "", "duration": 0.5, "seed": 4},
]


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_row_is_the_same_alone_and_among_others(load: Load, variant: str) -> None:
    engine = load(variant)
    alone = [music(engine, **fields) for fields in NEIGHBORS]
    together = [music_ticket(**fields) for fields in NEIGHBORS]
    intake = FakeIntake([(12 * number, ticket) for number, ticket in enumerate(together)], capacity=4)
    MODEL.run_continuous(engine, intake)
    assert intake.max_unfinished > 2
    for expected, ticket in zip(alone, together, strict=True):
        np.testing.assert_array_equal(music_of(ticket.output), expected)


def test_a_short_piece_leaves_before_a_long_one(engine: MusicEngine) -> None:
    order: list[float] = []

    class Noting(FakeTicket[GenerateMusicRequest]):
        def finish(self, outcome: Output | Exception) -> None:
            order.append(self.request.duration)
            super().finish(outcome)

    tickets = [Noting(GenerateMusicRequest(prompt="x", duration=seconds)) for seconds in (3.0, 0.5, 1.0)]
    serve(MODEL, engine, *tickets)
    assert order == [0.5, 1.0, 3.0]


def test_a_seed_is_reproducible_and_in_the_result(engine: MusicEngine) -> None:
    first, other, same = (music_ticket(seed=seed) for seed in (1, 2, 1))
    serve(MODEL, engine, first, other, same)
    np.testing.assert_array_equal(music_of(first.output), music_of(same.output))
    assert not np.array_equal(music_of(first.output), music_of(other.output))
    assert result_of(first.output).seed == 1
    unseeded = music_ticket(seed=None)
    serve(MODEL, engine, unseeded)
    seed = result_of(unseeded.output).seed
    assert seed is not None
    np.testing.assert_array_equal(music_of(unseeded.output), music(engine, seed=seed))


@pytest.mark.parametrize("fields", [{"top_k": 1}, {"top_p": 1e-6, "top_k": 0}])
def test_sampling_that_leaves_one_choice_is_greedy(engine: MusicEngine, fields: dict[str, Any]) -> None:
    np.testing.assert_array_equal(music(engine, **fields), music(engine, do_sample=False))


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.001, 2.5])
@pytest.mark.parametrize("variant", ["small", "stereo-small", "melody"])
def test_the_duration_is_exact(load: Load, variant: str, seconds: float) -> None:
    engine = load(variant)
    ticket = music_ticket(duration=seconds)
    serve(MODEL, engine, ticket)
    samples = music_of(ticket.output)
    assert samples.shape == (engine.channels, round(seconds * RATE))
    assert result_of(ticket.output).duration == pytest.approx(seconds, abs=1 / RATE)
    assert np.abs(samples).max() <= 1.0


# Files


def test_a_file_of_any_rate_and_channels_is_continued(load: Load) -> None:
    for variant, channels in (("small", 2), ("small", 6), ("stereo-small", 1), ("stereo-small", 6)):
        engine = load(variant)
        ticket = music_ticket(file=FILE, context=tune_context(0.3, channels, 8000))
        serve(MODEL, engine, ticket)
        assert music_of(ticket.output).shape == (engine.channels, RATE)
        assert "begins with the file" in " ".join(result_of(ticket.output).notes)


def test_a_file_that_cannot_be_continued_is_refused_alone(engine: MusicEngine) -> None:
    too_long = music_ticket(duration=60, file=FILE, context=tune_context(31))
    no_room = music_ticket(duration=1.0, file=FILE, context=tune_context(1.5))
    missing = music_ticket(file="missing")
    fine = music_ticket()
    serve(MODEL, engine, too_long, no_room, missing, fine)
    assert isinstance(too_long.outcome, InvalidAudio)
    assert isinstance(no_room.outcome, InvalidRequest)
    assert isinstance(missing.outcome, NotFound)
    assert music_of(fine.output).shape[1] == RATE


# Progress, cancellation, notes


def test_progress_rises_to_the_end(engine: MusicEngine) -> None:
    ticket = music_ticket(duration=2.0)
    serve(MODEL, engine, ticket)
    fractions = ticket.context.fractions
    assert fractions == sorted(fractions)
    assert len(fractions) > 90
    assert fractions[-1] > 0.97


def test_a_canceled_piece_leaves_its_row_to_the_next(engine: MusicEngine) -> None:
    canceled = music_ticket(duration=60.0, context=FakeContext(cancel_after=20))
    others = [music_ticket(duration=0.5), music_ticket(duration=0.5, seed=8)]
    intake = serve(MODEL, engine, canceled, *others, capacity=1)
    assert isinstance(canceled.outcome, Canceled)
    np.testing.assert_array_equal(music_of(others[0].output), music(engine, duration=0.5))
    assert intake.calls < 200


def test_ignored_parameters_are_noted(engine: MusicEngine) -> None:
    sung = music_ticket("word " * 200, lyrics="la la", time_signature="7/8")
    unconditional = music_ticket("", guidance_scale=4.0)
    serve(MODEL, engine, sung, unconditional)
    notes = " ".join(result_of(sung.output).notes)
    assert "lyrics were ignored" in notes
    assert "time_signature was ignored" in notes
    assert "only the first 256" in notes
    assert "guidance_scale was ignored" in " ".join(result_of(unconditional.output).notes)


def test_tempo_and_key_are_part_of_the_description(engine: MusicEngine) -> None:
    written_out = music(engine, "jazz. bpm: 120. key: C major", do_sample=False)
    np.testing.assert_array_equal(music(engine, "jazz", bpm=120, key="C major", do_sample=False), written_out)
