import copy
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import whisper
from whisper.tokenizer import LANGUAGES as KNOWN
from whisper.tokenizer import TO_LANGUAGE_CODE, get_tokenizer

from audiograph.errors import Canceled, InvalidRequest
from audiograph.schemas import TranscribeRequest
from deployments.models.base import LoadContext, Options
from deployments.models.whisper import Whisper
from deployments.models.whisper_languages import LANGUAGES, language_code
from deployments.tiny.whisper import SPEECH, STATE
from tests.deployments.models.fakes import FakeContext

SENTENCE = "These words come from random weights, and are not a transcription."
MODEL = Whisper(Options())


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """More threads gain nothing on layers this small, and spin against each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    context = LoadContext(device="cpu", policy="tiny", work_dir=tmp_path_factory.mktemp("work"))
    return MODEL.load("tiny", context).engine


def noise(seconds: float) -> np.ndarray:
    """Float32 ``[1, frames]`` at 16 kHz."""
    return np.random.default_rng(0).normal(0, 0.1, (1, round(seconds * 16_000))).astype(np.float32)


def context_of(samples: np.ndarray, **kwargs) -> FakeContext:
    return FakeContext({"talk": (samples, 16_000)}, **kwargs)


def run(engine, seconds: float = 3.0, **fields):
    return MODEL.run(engine, TranscribeRequest(file="talk", **fields), context_of(noise(seconds)))


def silenced(engine):
    """An engine that hears no speech: sure of ``<|nospeech|>`` after the first token, unsure of the rest."""
    tokenizer = get_tokenizer(True)
    deaf = copy.deepcopy(engine)
    free = STATE - 1  # a dimension that the script does not use
    with torch.no_grad():
        embedding, table = deaf.decoder.token_embedding.weight, deaf.decoder.blocks[-1].mlp[2].weight
        assert not embedding[:, free].any()
        start = embedding[tokenizer.sot].argmax()
        embedding[tokenizer.no_speech, free] = embedding.max()
        table[:, start] = 0
        table[free, start] = table.max()
        deaf.decoder.ln.weight[:free] = 0.2
    return deaf


# What is heard


def test_transcript(engine):
    context = context_of(noise(3.0))
    output = MODEL.run(engine, TranscribeRequest(file="talk"), context)
    result = output.result
    assert (result.text, result.language, result.duration) == (SENTENCE, "en", 3.0)
    assert [(part.id, part.start, part.end, part.text) for part in result.segments] == [
        (n, start, end, text.strip()) for n, (start, text, end) in enumerate(SPEECH)
    ]
    assert all(part.words is None and part.temperature == 0 for part in result.segments)
    assert result.notes == []
    assert output.audio_seconds == 3.0
    assert [file.name for file in output.files] == [
        f"transcription.{end}" for end in ("json", "txt", "srt", "vtt")
    ]


@pytest.mark.parametrize("words", [False, True])
def test_it_is_what_whisper_says(engine, words):
    samples = noise(35)
    theirs = whisper.transcribe(engine, samples[0], temperature=0.0, word_timestamps=words, fp16=False)
    request = TranscribeRequest(file="talk", temperature=0.0, word_timestamps=words)
    ours = MODEL.run(engine, request, context_of(samples)).result
    assert ours.text == theirs["text"].strip()
    assert ours.language == theirs["language"]
    assert len(ours.segments) == len(theirs["segments"]) == 4
    for our, their in zip(ours.segments, theirs["segments"], strict=True):
        assert our.text == their["text"].strip()
        assert (our.start, our.end) == pytest.approx((their["start"], their["end"]))
        assert our.avg_logprob == their["avg_logprob"]
        assert [(w.word, w.start, w.end) for w in our.words or []] == [
            (w["word"].strip(), pytest.approx(w["start"]), pytest.approx(w["end"]))
            for w in their.get("words", [])
        ]


def test_a_sentence_cut_off_by_the_window_is_heard_again(engine):
    """Whisper moves its window to the end of the last whole sentence: here by 1.4 s each time."""
    cut = copy.deepcopy(engine)
    tokenizer = get_tokenizer(True)
    with torch.no_grad():
        embedding, table = cut.decoder.token_embedding.weight, cut.decoder.blocks[-1].mlp[2].weight
        stop, end = (embedding[token].argmax() for token in (tokenizer.encode(".")[0], tokenizer.eot))
        table[:, stop] = 0
        table[end, stop] = table.max()
    samples = noise(5.0)
    theirs = whisper.transcribe(cut, samples[0], temperature=0.0, fp16=False)
    context = context_of(samples)
    result = MODEL.run(cut, TranscribeRequest(file="talk"), context).result
    heard = [(part.text, part.start, part.end) for part in result.segments]
    assert heard == [
        (part["text"].strip(), pytest.approx(part["start"]), pytest.approx(min(part["end"], 5.0)))
        for part in theirs["segments"]
    ]
    assert [start for _, start, _ in heard] == [0, 1.4, 2.8, 4.2]
    assert [partial["segment"]["start"] for partial in context.partials] == [0, 1.4, 2.8, 4.2]
    assert context.fractions == sorted(context.fractions)


@pytest.mark.parametrize(
    ("fields", "language"),
    [
        ({"temperature": 1.0}, "en"),
        ({"language": "German"}, "de"),
        ({"language": "JA", "translate": True}, "ja"),
        ({"prompt": "Zoë, Ångström. "}, "en"),
        ({"prompt": "   "}, "en"),
    ],
    ids=str,
)
def test_options_reach_the_model(engine, fields, language, monkeypatch):
    seen = []
    decode = engine.decode
    monkeypatch.setattr(engine, "decode", lambda mel, options: seen.append(options) or decode(mel, options))
    result = run(engine, **fields).result
    assert (result.text, result.language) == (SENTENCE, language)
    (options,) = seen
    assert options.temperature == fields.get("temperature", 0.0)
    assert options.task == ("translate" if fields.get("translate") else "transcribe")
    prompt = fields.get("prompt", "").strip()
    assert get_tokenizer(True).decode(options.prompt).strip() == prompt


@pytest.mark.parametrize(("fields", "tried"), [({}, [0.0, 0.2, 0.4]), ({"temperature": 0.2}, [0.2])], ids=str)
def test_a_text_that_fails_is_tried_again_at_higher_temperatures(engine, fields, tried, monkeypatch):
    seen = []
    decode = engine.decode

    def unsure(mel, options):
        seen.append(options.temperature)
        return replace(decode(mel, options), avg_logprob=-2.0 if options.temperature < 0.4 else -0.5)

    monkeypatch.setattr(engine, "decode", unsure)
    context = context_of(noise(35))
    result = MODEL.run(engine, TranscribeRequest(file="talk", **fields), context).result
    assert seen == tried * 2
    assert {part.temperature for part in result.segments} == {tried[-1]}
    assert [part.start for part in result.segments] == [0, 1.6, 30, 31.6]
    assert context.fractions == sorted(context.fractions)
    assert len(context.partials) == 4


def test_word_times(engine):
    result = run(engine, seconds=35, word_timestamps=True).result
    for part in result.segments:
        assert " ".join(word.word for word in part.words) == part.text
        times = [time for word in part.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert (part.start, part.end) == (times[0], times[-1])
    starts = [part.start for part in result.segments]
    assert starts == sorted(starts)
    assert result.segments[-1].end <= result.duration
    assert any(word.probability > 0.99 for word in result.segments[0].words)


def test_long_recordings_are_heard_window_by_window(engine):
    context = context_of(noise(70))
    result = MODEL.run(engine, TranscribeRequest(file="talk"), context).result
    assert [part.start for part in result.segments] == [0, 1.6, 30, 31.6, 60, 61.6]
    assert result.text == " ".join([SENTENCE] * 3)
    early = [partial["segment"] for partial in context.partials]
    assert [(part["id"], part["start"], part["end"], part["text"]) for part in early] == [
        (part.id, part.start, part.end, part.text) for part in result.segments
    ]
    assert context.stages == ["decoding audio", "transcribing"]
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] == 1.0
    windows = [30 / 70, 60 / 70]
    assert set(windows) < set(context.fractions)
    assert all(
        any(low < fraction < high for fraction in context.fractions)
        for low, high in [(0, windows[0]), windows]
    )


def test_times_end_with_the_recording(engine):
    result = run(engine, seconds=2.0).result
    assert [(part.start, part.end) for part in result.segments] == [(0, 1.4), (1.6, 2.0)]


def test_silence_is_an_empty_text(engine):
    context = context_of(noise(65))
    output = MODEL.run(silenced(engine), TranscribeRequest(file="talk"), context)
    result = output.result
    assert (result.text, result.segments, result.duration) == ("", [], 65.0)
    assert result.language in LANGUAGES
    assert context.partials == []
    assert any(fraction >= 60 / 65 for fraction in context.fractions)  # the bar itself never moved
    assert {file.name: file.content for file in output.files}["transcription.vtt"] == b"WEBVTT\n\n"


def test_no_samples_at_all(engine):
    result = run(engine, seconds=0).result
    assert (result.text, result.segments, result.duration) == ("", [], 0.0)


def test_notes_tell_what_was_not_followed(engine):
    notes = run(engine, vad=True, translate=True, word_timestamps=True, prompt="word " * 300).result.notes
    assert [re.search(r"vad|translation|last 223", note)[0] for note in notes] == [
        "vad",
        "translation",
        "last 223",
    ]


# Cancellation


@pytest.mark.parametrize("after", [1, 4, 35], ids=["language", "first window", "second window"])
def test_cancel_stops_at_the_next_step(engine, after):
    context = context_of(noise(70), cancel_after=after)
    with pytest.raises(Canceled):
        MODEL.run(engine, TranscribeRequest(file="talk", word_timestamps=True), context)
    assert context.checks == after + 1
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in engine.modules())
    assert run(engine).result.text == SENTENCE


def test_others_keep_their_progress_bars(engine, capsys):
    run(engine)
    whisper.transcribe(engine, noise(1)[0], temperature=0.0, fp16=False, verbose=False)
    assert "frames" in capsys.readouterr().err


# Requests


@pytest.mark.parametrize(
    ("fields", "variant", "field", "says"),
    [
        ({"language": "klingon"}, "base", "language", "klingon"),
        ({"language": ""}, "base", "language", "german"),
        ({"language": "yue"}, "medium", "language", "large-v3"),
        ({"translate": True}, "turbo", "translate", "large-v3"),
        ({"prompt": "so <|endoftext|> it ends"}, "base", "prompt", "<|endoftext|>"),
    ],
)
def test_refused(fields, variant, field, says):
    with pytest.raises(InvalidRequest, match=re.escape(says)) as refusal:
        MODEL.check_request(TranscribeRequest(file="talk", **fields), variant)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("fields", "variant"),
    [
        ({}, "tiny"),
        ({"language": "de"}, "tiny"),
        ({"language": "Cantonese"}, "turbo"),
        ({"translate": True}, "large-v3"),
    ],
)
def test_accepted(fields, variant):
    MODEL.check_request(TranscribeRequest(file="talk", **fields), variant)


def test_languages_are_those_of_the_package():
    assert list(LANGUAGES.items()) == list(KNOWN.items())
    assert all(language_code(name) == code for name, code in TO_LANGUAGE_CODE.items())
    assert all(language_code(code.upper()) == code for code in KNOWN)


# The engine


def test_health(engine):
    MODEL.check_engine(engine)
    broken = copy.deepcopy(engine)
    with torch.no_grad():
        broken.decoder.ln.weight.fill_(float("nan"))
    with pytest.raises(RuntimeError, match="finite"):
        MODEL.check_engine(broken)


def test_importing_the_module_imports_nothing_heavy():
    code = "import sys, deployments.models.whisper; print({'torch', 'whisper'} & set(sys.modules))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert done.stdout.strip() == b"set()"
