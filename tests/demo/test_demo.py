"""The demo's recordings and its report."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiograph.schemas import Job
from demo import report, sounds
from demo.words import compare
from demo.work import Outcome

START = datetime(2026, 1, 1, tzinfo=UTC)

Write = Callable[..., str]
"""Writes a report about outcomes and returns its text."""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[sounds.Recording]:
    return sounds.write_recordings(tmp_path_factory.mktemp("demo") / "recordings")


def test_recordings_are_whole_stereo_and_not_clipped(recordings: list[sounds.Recording]) -> None:
    assert {recording.path.suffix for recording in recordings} == {".mp3", ".flac", ".ogg"}
    for recording in recordings:
        samples, rate = soundfile.read(recording.path, always_2d=True)
        assert rate == sounds.SAMPLE_RATE
        assert samples.shape[1] == 2
        assert 10 < len(samples) / rate < 40
        assert 0.5 < np.abs(samples).max() <= 1


@pytest.mark.parametrize("voice", [sounds.pluck, sounds.flute, sounds.bass])
def test_a_voice_sounds_at_its_frequency_and_ends_in_silence(voice: sounds.Voice) -> None:
    samples = voice(440.0, 2.0)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    peak = np.fft.rfftfreq(len(samples), 1 / sounds.SAMPLE_RATE)[spectrum.argmax()]
    assert abs(1200 * np.log2(peak / 440)) < 5
    assert abs(samples[-1]) < 1e-6


def job(task: str, result: dict[str, Any] | None, **fields: Any) -> Job:
    created = START + timedelta(seconds=fields.pop("after", 0))
    return Job.model_validate(
        {
            "id": f"job-{task}",
            "task": task,
            "status": "succeeded",
            "created_at": created,
            "started_at": created + timedelta(seconds=2),
            "finished_at": created + timedelta(seconds=5),
            "result": result and {"task": task, **result},
            "timings": {"queue": 0.0, "load": 0.0, "run": 0.5, "audio_seconds": 10.0},
            "urls": {"self": "s", "events": "e", "cancel": "c"},
            **fields,
        }
    )


def pitch(key: str) -> dict[str, Any]:
    return {
        "detected_key": key,
        "confidence": 0.8,
        "dominant_pitches": ["D"],
        "candidates": [],
        "chroma_mean": [1.0, *[0.5] * 11],
        "tuning_cents": -3.0,
        "duration": 10.0,
    }


def transcript(text: str) -> dict[str, Any]:
    return {"text": text, "language": "en", "duration": 3.0, "segments": []}


@pytest.fixture
def song(tmp_path: Path, recordings: list[sounds.Recording]) -> sounds.Recording:
    recording = sounds.Recording(tmp_path / "song.flac", "A song", "D minor", "FLAC")
    recording.path.write_bytes(next(r for r in recordings if r.path.suffix == ".flac").path.read_bytes())
    return recording


@pytest.fixture
def write(tmp_path: Path, song: sounds.Recording) -> Write:
    def page(*outcomes: Outcome) -> str:
        return report.write(tmp_path, [song], outcomes).read_text("utf-8")

    return page


def test_the_report_marks_right_and_wrong_keys(write: Write, song: sounds.Recording) -> None:
    keys = {"enhanced_chroma": "D minor", "basic_chroma": "F major"}
    outcomes = [
        Outcome(name, job("analyze_pitch", pitch(key), variant=name), (), song) for name, key in keys.items()
    ]
    text = write(*outcomes)
    assert "D minor ✓" in text
    assert "F major ✗" in text
    assert "-3 cents" in text
    assert "Random weights" not in text


def test_the_files_that_the_report_plays_exist(write: Write, song: sounds.Recording, tmp_path: Path) -> None:
    text = write(Outcome("key", job("analyze_pitch", pitch("D minor")), (), song))
    sources = re.findall(r'<audio[^>]* src="([^"]+)"', text)
    assert sources == ["song.flac"]
    assert all((tmp_path / source).is_file() for source in sources)
    assert text.count('src="data:image/png;base64,') == 1


def test_what_was_heard_stands_beside_what_was_said(write: Write, tmp_path: Path) -> None:
    words = [
        {"word": word, "start": n / 2, "end": n / 2 + 0.4}
        for n, word in enumerate(("It", "costs", "1", ",200."))
    ]
    segments = [{"id": 0, "start": 0, "end": 2, "text": "It costs 1,200.", "words": words}]
    result = {**transcript("It costs 1,200."), "segments": segments}
    outcome = Outcome(
        "transcribe",
        job("transcribe", result, model="whisper", weights="pretrained"),
        (tmp_path / "results" / "transcript.srt",),
        text="It cost 1,200.",
    )
    text = write(outcome)
    assert "33.3 %: 1 of 3 words differ" in text
    assert "<td>cost</td><td>costs</td>" in text
    heard = re.sub(
        r"<[^>]+>", "", text[text.index("<dt>heard</dt>") : text.index("<dt>word error rate</dt>")]
    )
    assert heard.split() == ["heard", "It", "costs", "1,200."]
    assert 'title="0.50 – 0.90 s"' in text  # noqa: RUF001


@pytest.mark.parametrize(
    ("heard", "errors", "differences"),
    [
        ("Dr Smith paid 5 dollars", 0, []),
        ("Doctor Smyth paid $5.", 1, [("smith", "smyth")]),
        ("Dr. Smith $5", 1, [("paid", "")]),
        ("", 4, [("doctor smith paid $5", "")]),
    ],
)
def test_words_are_compared_after_normalization(
    heard: str, errors: int, differences: list[tuple[str, str]]
) -> None:
    compared = compare("Dr. Smith paid $5.", heard)
    assert (compared.said, compared.errors) == (4, errors)
    assert compared.differences == differences


def test_every_sound_has_a_player_and_a_picture(write: Write, song: sounds.Recording) -> None:
    folder = song.path.parent / "results"
    folder.mkdir()
    sounds_of = {name: folder / f"{name}.flac" for name in ("vocals", "drums", "music", "dialogue")}
    for path in sounds_of.values():
        path.write_bytes(song.path.read_bytes())
    made = {"duration": 18.0, "sample_rate": 44_100, "channels": 2}
    turns = [{"voice": "anna", "text": "Hi.", "start": 0, "end": 1}]
    text = write(
        Outcome(
            "a",
            job("separate", {"stems": {}, "duration": 18.0}),
            (sounds_of["vocals"], sounds_of["drums"]),
            song,
        ),
        Outcome("b", job("generate_music", made, weights="random"), (sounds_of["music"],), text="a waltz"),
        Outcome("c", job("dialogue", {**made, "turns": turns}), (sounds_of["dialogue"],)),
    )
    played = re.findall(r'<audio[^>]* src="results/(\w+)\.flac"', text)
    assert sorted(played) == sorted(sounds_of)
    assert text.count('src="data:image/png;base64,') == 5
    assert "so this is noise" in text


def test_random_weights_are_mentioned_at_the_top_and_text_is_escaped(write: Write, tmp_path: Path) -> None:
    outcome = Outcome(
        "transcribe",
        job("transcribe", transcript("<b>no</b>"), model="whisper", weights="random"),
        (tmp_path / "results" / "transcript.srt",),
        text="spoken",
    )
    text = write(outcome)
    assert text.index("Random weights") < text.index("<h2>")
    assert "&lt;b&gt;no&lt;/b&gt;" in text
    assert 'href="results/transcript.srt"' in text


def test_a_failed_job_is_shown_with_its_reason(write: Write) -> None:
    error = {"code": "out_of_memory", "message": "the model does not fit"}
    text = write(Outcome("speak de", job("speak", None, status="failed", error=error), ()))
    assert "speak de: failed." in text
    assert "out_of_memory: the model does not fit" in text
    assert "<dt>succeeded</dt><dd>0</dd>" in text


def test_timings_are_relative_to_the_first_job() -> None:
    first = Outcome("a", job("analyze_pitch", pitch("C major")), ())
    second = Outcome("b", job("analyze_pitch", pitch("C major"), after=4), ())
    timings = report.timings([first, second])
    assert [(entry.start, entry.queued, entry.running) for entry in timings] == [(0, 2, 3), (4, 2, 3)]
    assert timings[0].real_time_factor == 0.05
