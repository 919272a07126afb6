import copy
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import whisper
from whisper.tokenizer import LANGUAGES as KNOWN
from whisper.tokenizer import TO_LANGUAGE_CODE, get_tokenizer

from audiograph.errors import Canceled, InvalidRequest
from audiograph.schemas import TranscribeRequest
from deployments.models.base import LoadContext
from deployments.models.whisper.decoder import Decoder
from deployments.models.whisper.languages import LANGUAGES, language_code
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.models.whisper.tiny import SPEECH, STATE
from deployments.models.whisper.token_rules import Text
from deployments.models.whisper.windows import windows
from tests.deployments.models.fakes import FakeContext, FakeTicket, serve

SENTENCE = "These words come from random weights, and are not a transcription."
MODEL = Whisper(WhisperOptions())

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    context = LoadContext(device="cpu", policy="tiny", work_dir=tmp_path_factory.mktemp("work"))
    return MODEL.load("tiny", context).engine


def noise(seconds: float) -> np.ndarray:
    """Float32 ``[1, frames]`` at 16 kHz."""
    return np.random.default_rng(0).normal(0, 0.1, (1, round(seconds * 16_000))).astype(np.float32)


def context_of(samples: np.ndarray, **kwargs) -> FakeContext:
    return FakeContext({"talk": (samples, 16_000)}, **kwargs)


def transcribe(engine, context, **fields):
    ticket = FakeTicket(TranscribeRequest(file="talk", **fields), context)
    serve(MODEL, engine, ticket)
    return ticket.output


def run(engine, seconds: float = 3.0, **fields):
    return transcribe(engine, context_of(noise(seconds)), **fields)


def window_starts(seconds: float) -> list[float]:
    return [window.offset for window in windows(noise(seconds)[0], vad=False, check=lambda: None)]


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
    output = transcribe(engine, context)
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
    samples = noise(28)
    theirs = whisper.transcribe(engine, samples[0], temperature=0.0, word_timestamps=words, fp16=False)
    ours = transcribe(engine, context_of(samples), temperature=0.0, word_timestamps=words).result
    assert ours.text == theirs["text"].strip()
    assert ours.language == theirs["language"]
    assert len(ours.segments) == len(theirs["segments"]) == 2
    for our, their in zip(ours.segments, theirs["segments"], strict=True):
        assert our.text == their["text"].strip()
        assert (our.start, our.end) == pytest.approx((their["start"], their["end"]))
        assert our.avg_logprob == pytest.approx(their["avg_logprob"], abs=1e-5)
        assert our.no_speech_prob == pytest.approx(their["no_speech_prob"], abs=1e-5)
        assert our.compression_ratio == their["compression_ratio"]
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
    result = transcribe(cut, context).result
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
    start = Decoder.start

    def spied(self, rows, tokens, at=0):
        seen.extend(tokens)
        return start(self, rows, tokens, at)

    monkeypatch.setattr(Decoder, "start", spied)
    result = run(engine, **fields).result
    assert (result.text, result.language) == (SENTENCE, language)
    assert {part.temperature for part in result.segments} == {fields.get("temperature", 0.0)}
    task = "translate" if fields.get("translate") else "transcribe"
    tokenizer = get_tokenizer(True, language=language, task=task)
    *prompt, sot, spoken, asked = seen[-1]
    assert (sot, spoken, asked) == tokenizer.sot_sequence
    assert tokenizer.decode(prompt).replace("<|startofprev|>", "").strip() == fields.get("prompt", "").strip()


@pytest.mark.parametrize(("fields", "last", "tries"), [({}, 0.4, 3), ({"temperature": 0.2}, 0.2, 1)], ids=str)
def test_a_text_that_fails_is_tried_again_at_higher_temperatures(engine, fields, last, tries, monkeypatch):
    begun = []
    monkeypatch.setattr(Text, "avg_logprob", property(lambda text: -0.5 if text.temperature >= 0.4 else -2.0))
    start = Decoder.start
    monkeypatch.setattr(
        Decoder, "start", lambda self, rows, *rest, **at: begun.extend(rows) or start(self, rows, *rest, **at)
    )
    context = context_of(noise(35))
    result = transcribe(engine, context, language="en", **fields).result
    assert len(begun) == 2 * tries
    assert {part.temperature for part in result.segments} == {last}
    first, second = window_starts(35)
    assert [part.start for part in result.segments] == pytest.approx(
        [first, first + 1.6, second, second + 1.6]
    )
    assert context.fractions == sorted(context.fractions)
    assert len(context.partials) == 4


def test_word_times(engine):
    result = run(engine, seconds=35, word_timestamps=True).result
    assert len(result.segments) == 4
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
    result = transcribe(engine, context).result
    starts = window_starts(70)
    assert len(starts) == 3
    assert [part.start for part in result.segments] == pytest.approx(
        [start + at for start in starts for at, _, _ in SPEECH], abs=0.001
    )
    assert result.text == " ".join([SENTENCE] * 3)
    early = [partial["segment"] for partial in context.partials]
    assert early == [part.model_dump(exclude_none=True) for part in result.segments]
    assert context.stages == ["decoding audio", "transcribing"]
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] == 1.0
    assert len(set(context.fractions)) >= 20  # of every token


def test_times_end_with_the_recording(engine):
    result = run(engine, seconds=2.0).result
    assert [(part.start, part.end) for part in result.segments] == [(0, 1.4), (1.6, 2.0)]


def test_silence_is_an_empty_text(engine):
    context = context_of(noise(65))
    output = transcribe(silenced(engine), context)
    result = output.result
    assert (result.text, result.segments, result.duration) == ("", [], 65.0)
    assert result.language in LANGUAGES
    assert context.partials == []
    assert context.fractions[-1] == 1.0
    assert {file.name: file.content for file in output.files}["transcription.vtt"] == b"WEBVTT\n\n"


@pytest.mark.parametrize(
    ("seconds", "fields", "note"),
    [(0, {}, "The recording is empty."), (40, {"vad": True}, "No speech was found.")],
    ids=str,
)
def test_nothing_to_hear_is_an_empty_text_with_a_note(engine, seconds, fields, note):
    context = context_of(noise(seconds))
    result = transcribe(engine, context, **fields).result
    assert (result.text, result.segments, result.language) == ("", [], "und")
    assert (result.duration, result.notes) == (seconds, [note])
    assert context.fractions[-1] == 1.0


def test_notes_tell_what_was_not_followed(engine):
    notes = run(engine, translate=True, word_timestamps=True, prompt="word " * 300).result.notes
    assert [re.search(r"translation|last 223", note)[0] for note in notes] == ["translation", "last 223"]


# Cancellation


@pytest.mark.parametrize("after", [1, 3, 12, 25], ids=["audio", "encoder", "first steps", "later"])
def test_cancel_stops_at_the_next_step(engine, after):
    context = context_of(noise(70), cancel_after=after)
    with pytest.raises(Canceled):
        transcribe(engine, context, word_timestamps=True)
    assert context.checks == after + 1
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in engine.modules())
    assert run(engine).result.text == SENTENCE


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
    code = "import sys, deployments.models.whisper.model; print({'torch', 'whisper'} & set(sys.modules))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert done.stdout.strip() == b"set()"
