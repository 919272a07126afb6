"""Key detection: scored by mir_eval on synthetic songs, and on sounds that are hardly music."""

import json
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from audiograph.errors import Canceled, InvalidAudio
from audiograph.schemas import AnalyzePitchRequest, PitchResult
from benchmarks.songs import PITCHES, RATE, TIMBRES, Song, add_drums, render, songs
from deployments.models.base import FileOutput, Options, Output, Samples
from deployments.models.loading import load
from deployments.models.pitch_analysis import model as pitch_analysis
from deployments.models.pitch_analysis.chroma import SAMPLE_RATE
from deployments.models.pitch_analysis.model import METHODS, PitchAnalysis
from tests.deployments.models.fakes import FakeContext

REQUEST = AnalyzePitchRequest(file="clip")


def analyze(
    samples: Samples, variant: str = "enhanced_chroma", context: FakeContext | None = None, rate: int = RATE
) -> Output:
    context = context or FakeContext({"clip": (np.atleast_2d(samples), rate)})
    return PitchAnalysis(Options()).run(METHODS[variant], REQUEST, context)


def result_of(output: Output) -> PitchResult:
    assert isinstance(output.result, PitchResult)
    return output.result


def detect(samples: Samples, variant: str = "enhanced_chroma") -> PitchResult:
    return result_of(analyze(samples, variant))


def score(clips: list[Song], variant: str = "enhanced_chroma") -> float:
    """Return the mean weighted score of the keys that a variant detects, 0..1, as MIREX defines it."""
    found = [(clip.key, detect(clip.samples, variant).detected_key) for clip in clips]
    return float(np.mean([mir_eval.key.weighted_score(true, guess) for true, guess in found]))


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the picture, which takes longer than the analysis of a short recording."""
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
    assert isinstance(record, FileOutput)
    assert isinstance(picture, FileOutput)
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
    assert seconds == pytest.approx(result_of(output).duration, abs=0.1)
    assert frames.max() == 1
    assert picture.content.startswith(b"\x89PNG")
    assert context.fractions == sorted(context.fractions)
    assert context.stages == ["decoding", "listening", "drawing"]
    assert output.audio_seconds == result_of(output).duration


def test_stereo_is_heard_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    left, right = (render([(0, 3, pitches)], "sines", 0, 1, rng) for pitches in ([57, 60], [64]))
    result = detect(np.stack([left, right]))
    assert result.detected_key == "A minor"


@pytest.mark.parametrize("variant", ["enhanced_chroma", "basic_chroma"])
@pytest.mark.parametrize(
    "samples",
    [np.zeros(RATE), np.zeros(0), np.full(RATE, 1e-5)],
    ids=["zeros", "empty", "faint"],
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
    assert result.notes == ["the file is very short for estimating a key: 0.01 s"]


def sine(hertz: float, rate: int, overtones: int = 0) -> Samples:
    """Synthesize two seconds of a tone and of those of its overtones that fit the rate."""
    time = np.arange(2 * rate) / rate
    partials = [n for n in range(1, 2 + overtones) if n * hertz < 0.44 * rate]
    tone = sum((np.sin(2 * np.pi * n * hertz * time + n * n) / n for n in partials), np.zeros(2 * rate))
    return (0.5 * tone).astype(np.float32)


def pitchless_sounds(rate: int) -> dict[str, Samples]:
    """Synthesize four seconds each of sounds without a pitch."""
    rng = np.random.default_rng(0)
    time = np.arange(4 * rate) / rate
    noise = rng.normal(0, 0.1, 4 * rate)
    spectrum = np.fft.rfft(noise) / np.sqrt(1 + np.arange(2 * rate + 1))
    clicks = np.zeros(4 * rate)
    clicks[rate // 3 :: rate // 4] = 1
    return {
        "offset": np.full(4 * rate, 0.5),
        "faint negative offset": np.full(4 * rate, -0.001),
        "drifting offset": 0.2 + 0.1 * time + 0.1 * np.sin(4 * time),
        "white noise": noise,
        "pink noise": 30 * np.fft.irfft(spectrum),
        "clicks": clicks,
        "hum below hearing": 0.5 * np.sin(2 * np.pi * 15 * time),
    }


def test_a_single_sample_has_no_key() -> None:
    assert_no_key(result_of(analyze(np.full(1, 0.5), rate=SAMPLE_RATE)), "one sample")


def assert_no_key(result: PitchResult, sound: str) -> None:
    assert result.confidence < 0.1, sound
    assert result.notes[0] == "hardly any pitched sound was found: the key is a guess", sound
    assert result.dominant_pitches == [], sound
    assert result.tuning_cents is None, sound


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("variant", METHODS)
@pytest.mark.parametrize("rate", [8000, SAMPLE_RATE, 44_100])
def test_sound_without_pitch_has_no_key_and_says_so(rate: int, variant: str) -> None:
    for sound, samples in pitchless_sounds(rate).items():
        assert_no_key(result_of(analyze(samples, variant, rate=rate)), sound)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("variant", METHODS)
def test_drums_alone_have_no_key_and_say_so(variant: str) -> None:
    drums = add_drums(np.zeros(6 * RATE, np.float32), np.random.default_rng(0))
    assert_no_key(detect(drums, variant), "drums")


def test_the_chroma_of_noise_is_faint() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)
    record = analyze(noise).files[0]
    assert isinstance(record, FileOutput)
    assert np.max(json.loads(record.content)["chroma"]["frames"]) < 0.5


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("variant", METHODS)
@pytest.mark.parametrize(
    ("rate", "cents", "overtones"), [(8000, 30, 5), (16_000, -30, 0), (44_100, 0, 7), (48_000, 40, 0)]
)
def test_each_piano_key_is_heard_as_its_own_tonic(
    rate: int, cents: float, overtones: int, variant: str
) -> None:
    for pitch in range(21, 109):
        hertz = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
        if hertz < 0.44 * rate:
            result = result_of(analyze(sine(hertz, rate, overtones), variant, rate=rate))
            name = PITCHES[pitch % 12]
            assert PITCHES[int(np.argmax(result.chroma_mean))] == result.dominant_pitches[0] == name
            assert result.detected_key.split()[0] == name


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("variant", METHODS)
@pytest.mark.parametrize("overtones", [0, 7])
@pytest.mark.parametrize("cents", [-45, 0, 40])
def test_a_single_note_names_a_tonic_but_no_key(cents: float, overtones: int, variant: str) -> None:
    lowest = 31 if variant == "librosa_chroma" else 21  # librosa's filters blur detuned notes below
    for pitch in (21, 22, 23, 31, 55, 79, 103):
        if pitch < lowest:
            continue
        name = PITCHES[pitch % 12]
        hertz = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
        result = result_of(analyze(sine(hertz, SAMPLE_RATE, overtones), variant, rate=SAMPLE_RATE))
        assert result.detected_key == f"{name} major"
        assert result.confidence < 0.15
        assert result.notes == [f"only one pitch was found, {name}: it names a tonic, but no key"]


def test_cancel_ends_a_long_recording_within_a_block() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 200 * SAMPLE_RATE).astype(np.float32)
    context = FakeContext({"clip": (samples[None], SAMPLE_RATE)}, cancel_after=3)
    with pytest.raises(Canceled):
        analyze(samples, context=context)
    assert context.stages == ["decoding", "listening"]
    assert 0.3 < context.fractions[-1] < 0.6


def test_librosa_chroma_compiles_once_and_finds_a_key(tmp_path: Path) -> None:
    model = PitchAnalysis(Options())
    engine = load(model, "librosa_chroma", "cpu", "auto", tmp_path).engine
    samples = next(iter(songs(["cadence"], ["plucked"]))).samples
    output = model.run(engine, REQUEST, FakeContext({"clip": (samples[None], RATE)}))
    result = result_of(output)
    assert result.detected_key == "C major"
    assert result.tuning_cents is not None
    assert abs(result.tuning_cents) < 50
