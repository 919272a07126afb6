"""Key detection: scored as the field does it, and on sound that is hardly music."""

import json
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from audiograph.errors import Canceled, InvalidAudio
from audiograph.schemas import AnalyzePitchRequest, PitchResult
from benchmarks.songs import RATE, TIMBRES, Song, add_noise, render, songs
from deployments.models.base import LoadContext, Options, Output, Samples
from deployments.models.pitch_analysis import chroma
from deployments.models.pitch_analysis import key_profiles as keys
from deployments.models.pitch_analysis import model as pitch_analysis
from deployments.models.pitch_analysis.model import METHODS, PitchAnalysis
from tests.deployments.models.fakes import FakeContext

REQUEST = AnalyzePitchRequest(file="clip")


def analyze(
    samples: Samples, variant: str = "enhanced_chroma", context: FakeContext | None = None, rate: int = RATE
) -> Output:
    context = context or FakeContext({"clip": (np.atleast_2d(samples), rate)})
    return PitchAnalysis(Options()).run(METHODS[variant], REQUEST, context)


def detect(samples: Samples, variant: str = "enhanced_chroma") -> PitchResult:
    """The result alone, without the picture's cost: `analyze` is tested by itself."""
    result = analyze(samples, variant).result
    assert isinstance(result, PitchResult)
    return result


def score(clips: list[Song], variant: str = "enhanced_chroma") -> float:
    found = [(clip.key, detect(clip.samples, variant).detected_key) for clip in clips]
    return float(np.mean([mir_eval.key.weighted_score(true, guess) for true, guess in found]))


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pitch_analysis, "draw_chroma", lambda *_: b"")


@pytest.fixture(scope="module")
def clips() -> list[Song]:
    return list(songs())


@pytest.mark.usefixtures("no_pictures")
def test_every_key_is_found_over_timbres_tunings_and_noise(clips: list[Song]) -> None:
    assert len(clips) == 24 * 2 * len(TIMBRES) >= 96
    assert score(clips) >= 0.98


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("kind", ["triad", "progression", "song_like"])
def test_other_music_than_the_profiles_were_chosen_for(kind: str) -> None:
    clips = list(songs([kind], ["brassy", "plucked"], seed=1, drums=True))[::3]
    assert score(clips) >= 0.85


@pytest.mark.usefixtures("no_pictures")
def test_basic_chroma_finds_most_keys(clips: list[Song]) -> None:
    assert 0.6 <= score(clips[::3], "basic_chroma") <= score(clips[::3])


@pytest.mark.usefixtures("no_pictures")
def test_tuning_is_measured(clips: list[Song]) -> None:
    for clip in clips[::12]:
        tuning = detect(clip.samples).tuning_cents
        assert tuning == pytest.approx(clip.cents, abs=4)


@pytest.mark.usefixtures("no_pictures")
def test_confidence_is_high_for_music_and_low_for_noise(clips: list[Song]) -> None:
    rng = np.random.default_rng(0)
    noise = detect(rng.normal(0, 0.1, 3 * RATE).astype(np.float32))
    assert noise.confidence < 0.2
    assert "hardly any pitched sound" in noise.notes[0]
    assert np.mean([detect(clip.samples).confidence for clip in clips[::12]]) > 0.8


def test_files_hold_the_chroma_over_time_and_a_picture() -> None:
    samples = render([(0, 4, [60, 64, 67])], "sines", 0, 1, np.random.default_rng(0))
    context = FakeContext({"clip": (np.atleast_2d(samples), RATE)})
    output = analyze(samples, context=context)
    record, picture = output.files
    assert [record.name, picture.name] == [
        "pitch_analysis_enhanced_chroma.json",
        "pitch_analysis_enhanced_chroma.png",
    ]
    content = json.loads(record.content)
    assert PitchResult.model_validate(content).detected_key == "C major"
    assert sorted(content["dominant_pitches"]) == ["C", "E", "G"]
    frames = np.array(content["chroma"]["frames"])
    seconds = len(frames) * content["chroma"]["hop"] / content["chroma"]["sample_rate"]
    assert frames.shape[1] == 12
    assert seconds == pytest.approx(output.result.duration, abs=0.1)
    assert frames.max() == 1
    assert picture.content.startswith(b"\x89PNG")
    assert context.fractions == sorted(context.fractions)
    assert context.stages == ["decoding", "listening", "drawing"]
    assert output.audio_seconds == output.result.duration


def test_stereo_is_heard_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    left, right = (render([(0, 3, pitches)], "sines", 0, 1, rng) for pitches in ([57, 60], [64]))
    result = analyze(np.stack([left, right])).result
    assert result.detected_key == "A minor"


@pytest.mark.parametrize("variant", ["enhanced_chroma", "basic_chroma"])
@pytest.mark.parametrize(
    "samples",
    [np.zeros(RATE), np.zeros(0), np.full(1, 0.5), np.full(RATE, 1e-5)],
    ids=["zeros", "empty", "one", "faint"],
)
def test_silence_is_refused(samples: Samples, variant: str) -> None:
    with pytest.raises(InvalidAudio, match="no pitched sound") as caught:
        analyze(samples.astype(np.float32), variant)
    assert caught.value.field == "file"


def test_ten_milliseconds_give_a_pitch_and_no_confidence() -> None:
    time = np.arange(RATE // 100) / RATE
    result = detect(np.sin(2 * np.pi * 440 * time).astype(np.float32))
    assert result.dominant_pitches[0] == "A"
    assert result.confidence < 0.1
    assert result.notes == ["the file is very short for a key: 0.01 s"]


def test_a_click_is_survived() -> None:
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE] = 1
    assert detect(samples).confidence < 0.5


def test_cancel_ends_a_long_recording_within_a_block() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 200 * chroma.SAMPLE_RATE).astype(np.float32)
    context = FakeContext({"clip": (samples[None], chroma.SAMPLE_RATE)}, cancel_after=3)
    with pytest.raises(Canceled):
        analyze(samples, context=context)
    assert context.stages == ["decoding", "listening"]
    assert 0.3 < context.fractions[-1] < 0.6


def test_blocks_hear_what_the_whole_would(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = add_noise(
        render([(n, 1, [60 + n]) for n in range(6)], "plucked", 0, 1, np.random.default_rng(0)),
        20,
        np.random.default_rng(1),
    )
    whole = _listen(samples)
    monkeypatch.setattr(chroma, "BLOCK_FRAMES", 7)
    assert np.allclose(_listen(samples), whole, atol=1e-5)


def _listen(samples: Samples) -> chroma.Array:
    transform = chroma.ConstantQ()
    return np.concatenate([transform(block) for block in chroma.blocks(samples)], axis=1)


def test_the_transform_is_as_loud_for_every_pitch() -> None:
    transform = chroma.ConstantQ()
    for pitch in (40, 60, 80, 100):
        tone = np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * np.arange(30_000) / chroma.SAMPLE_RATE)
        column = transform(next(chroma.blocks(tone.astype(np.float32))))[:, 15]
        assert column.argmax() == 3 * (pitch - 36)
        assert column.max() == pytest.approx(0.5, rel=0.05)


def test_key_names_are_the_fields_own() -> None:
    for key in keys.KEYS:
        mir_eval.key.validate_key(key)


def test_ends_on_the_tonic_chord_decide_between_relative_keys() -> None:
    scale = np.isin(np.arange(12), [0, 2, 4, 5, 7, 9, 11]).astype(np.float32)
    for tonic, third, key in ((0, 4, "C major"), (9, 0, "A minor")):
        chord = np.zeros(12, np.float32)
        chord[[tonic, third, (tonic + 7) % 12]] = 1
        found = keys.estimate_key(scale, [keys.KRUMHANSL_KESSLER], ends=[chord, chord])
        assert found.key == key


def test_librosa_chroma_compiles_once_and_finds_a_key(tmp_path: Path) -> None:
    model = PitchAnalysis(Options())
    engine = model.load("librosa_chroma", LoadContext("cpu", "auto", tmp_path)).engine
    samples = next(iter(songs(["cadence"], ["plucked"]))).samples
    output = model.run(engine, REQUEST, FakeContext({"clip": (samples[None], RATE)}))
    assert output.result.detected_key == "C major"
    assert abs(output.result.tuning_cents) < 50
