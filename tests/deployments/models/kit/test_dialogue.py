"""Turns of a dialogue: equal loudness, no clicks, and the times of each speaker."""

import numpy as np
import pyloudnorm
import pytest

from audiograph.schemas import DialogueResult
from deployments.audio.fades import PAUSE_SECONDS
from deployments.models.base import Samples
from deployments.models.kit.dialogue import SpokenPart, dialogue_files, join_turns
from tests.support.sounds import speech_like, tone

RATE = 24_000


def part(voice: str, samples: Samples) -> SpokenPart:
    return SpokenPart(voice, f"{voice} speaks.", samples)


def spoken(seconds: float, level: float, seed: int = 0) -> Samples:
    samples: Samples = level * speech_like(seconds=seconds, sample_rate=RATE, seed=seed)[0]
    return samples


def test_turns_are_equally_loud_and_do_not_clip() -> None:
    parts = [part("a", spoken(3.0, 1.0)), part("b", spoken(3.0, 0.01, 1)), part("c", spoken(3.0, 0.2, 2))]
    samples, turns = join_turns(parts, RATE)
    cut = [samples[round(turn.start * RATE) : round(turn.end * RATE)] for turn in turns]
    loudness = [pyloudnorm.Meter(RATE).integrated_loudness(one) for one in cut]
    assert max(loudness) - min(loudness) < 1.0
    assert np.abs(samples).max() < 1.0


def test_turns_follow_each_other_with_a_pause() -> None:
    samples, turns = join_turns([part("a", spoken(1.0, 0.3)), part("b", spoken(2.0, 0.3))], RATE)
    times = [(turn.voice, turn.start, turn.end) for turn in turns]
    assert times == [("a", 0.0, 1.0), ("b", 1.0 + PAUSE_SECONDS, 3.0 + PAUSE_SECONDS)]
    assert len(samples) == round((3.0 + PAUSE_SECONDS) * RATE)


def test_joins_do_not_click() -> None:
    """Turns end at full amplitude, and no step between samples is larger than the tone's own."""
    samples, turns = join_turns([part("a", tone(seconds=1.01, sample_rate=RATE)[0])] * 2, RATE)
    inside = np.abs(np.diff(samples[RATE // 4 : RATE // 2])).max()
    for turn in turns:
        for at in (turn.start, turn.end):
            near = samples[max(0, round(at * RATE) - 50) : round(at * RATE) + 50]
            assert np.abs(np.diff(near)).max() <= inside
    pause = samples[round(turns[0].end * RATE) : round(turns[1].start * RATE)]
    assert not pause.any()


@pytest.mark.parametrize("frames", [0, 1, 154])
def test_a_silent_turn_is_a_pause(frames: int) -> None:
    silent = part("b", np.zeros(frames, np.float32))
    samples, turns = join_turns([part("a", spoken(1.0, 0.3)), silent, part("a", spoken(1.0, 0.3))], RATE)
    assert turns[2].start - turns[0].end == pytest.approx(2 * PAUSE_SECONDS + frames / RATE)
    assert not samples[round(turns[0].end * RATE) : round(turns[2].start * RATE)].any()


@pytest.mark.parametrize("seconds", [0.05, 0.2])
def test_a_short_turn_is_normalized_too(seconds: float) -> None:
    samples, turns = join_turns(
        [part("a", spoken(2.0, 0.3)), part("b", 0.01 * tone(seconds=seconds, sample_rate=RATE)[0])], RATE
    )
    short = samples[round(turns[1].start * RATE) :]
    assert np.abs(short).max() > 0.05


def test_silence_stays_silent() -> None:
    samples, _ = join_turns([part("a", np.zeros(RATE, np.float32))], RATE)
    assert not samples.any()


def test_subtitles_name_the_speaker() -> None:
    samples, turns = join_turns([part("a", spoken(1.0, 0.3)), part("b", spoken(1.0, 0.3))], RATE)
    result = DialogueResult(turns=turns, duration=len(samples) / RATE, sample_rate=RATE, channels=1)
    files = {file.name: file.content.decode() for file in dialogue_files(result)}
    assert files["dialogue.srt"].startswith("1\n00:00:00,000 --> 00:00:01,000\na: a speaks.\n")
    assert "00:00:01.250 --> 00:00:02.250\nb: b speaks.\n" in files["dialogue.vtt"]
    assert DialogueResult.model_validate_json(files["dialogue.json"]) == result
