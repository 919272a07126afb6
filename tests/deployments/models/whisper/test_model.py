"""Whisper as a model: transcripts, requests and health; several tests compare with openai-whisper itself."""

import copy
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import whisper
from torch import Tensor
from whisper import Whisper as Network
from whisper.tokenizer import get_tokenizer

from audiograph.errors import Canceled, InvalidRequest
from audiograph.schemas import TranscribeRequest, TranscribeResult, Word
from deployments.models.base import FileOutput, Output
from deployments.models.whisper.decoder import Decoder
from deployments.models.whisper.languages import LANGUAGES
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.models.whisper.tiny import SPEECH, STATE
from deployments.models.whisper.token_rules import Decoded
from deployments.models.whisper.windows import split_into_windows
from tests.deployments.models.fakes import FakeContext, FakeTicket, serve
from tests.support.transcription import FILE, noise, result_of, talk_context

SENTENCE = "These words come from random weights, and are not a transcription."
MODEL = Whisper(WhisperOptions())

pytestmark = pytest.mark.usefixtures("one_thread")


def transcribe(engine: Network, context: FakeContext, **fields: Any) -> Output:
    ticket = FakeTicket(TranscribeRequest(file=FILE, **fields), context)
    serve(MODEL, engine, ticket)
    return ticket.output


def transcript(engine: Network, context: FakeContext, **fields: Any) -> TranscribeResult:
    return result_of(transcribe(engine, context, **fields))


def noise_transcript(engine: Network, seconds: float = 3.0, **fields: Any) -> TranscribeResult:
    return transcript(engine, talk_context(noise(seconds)), **fields)


def assert_words(ours: Sequence[Word], theirs: Sequence[dict[str, Any]]) -> None:
    """Compare words with those of `whisper.transcribe`."""
    for our, their in zip(ours, theirs, strict=True):
        assert our.word == their["word"].strip()
        assert (our.start, our.end) == pytest.approx((their["start"], their["end"]))


def window_starts(seconds: float) -> list[float]:
    windows = split_into_windows(noise(seconds)[0], vad=False, check=lambda: None)
    return [window.offset for window in windows]


def silenced(engine: Network) -> Network:
    """Return an engine that detects no speech: sure of ``<|nospeech|>``, and unsure of every other token."""
    tokenizer = get_tokenizer(True)
    silent = copy.deepcopy(engine)
    free = STATE - 1  # a dimension that the lookup table does not use
    with torch.no_grad():
        embedding, table = silent.decoder.token_embedding.weight, silent.decoder.blocks[-1].mlp[2].weight
        assert not embedding[:, free].any()
        start = embedding[tokenizer.sot].argmax()
        embedding[tokenizer.no_speech, free] = embedding.max()
        table[:, start] = 0
        table[free, start] = table.max()
        silent.decoder.ln.weight[:free] = 0.2
    return silent


# Transcripts


def test_transcript(engine: Network) -> None:
    output = transcribe(engine, talk_context(noise(3.0)))
    result = result_of(output)
    assert (result.text, result.language, result.duration) == (SENTENCE, "en", 3.0)
    assert [(segment.id, segment.start, segment.end, segment.text) for segment in result.segments] == [
        (n, start, end, text.strip()) for n, (start, text, end) in enumerate(SPEECH)
    ]
    assert all(segment.words is None and segment.temperature == 0 for segment in result.segments)
    assert result.notes == []
    assert output.audio_seconds == 3.0
    assert [file.name for file in output.files] == [
        f"transcription.{suffix}" for suffix in ("json", "txt", "srt", "vtt")
    ]


@pytest.mark.parametrize("words", [False, True])
def test_it_is_what_whisper_says(engine: Network, words: bool) -> None:
    samples = noise(28)
    theirs = whisper.transcribe(engine, samples[0], temperature=0.0, word_timestamps=words, fp16=False)
    ours = transcript(engine, talk_context(samples), temperature=0.0, word_timestamps=words)
    assert ours.text == theirs["text"].strip()
    assert ours.language == theirs["language"]
    assert len(ours.segments) == len(theirs["segments"]) == 2
    for our, their in zip(ours.segments, theirs["segments"], strict=True):
        assert our.text == their["text"].strip()
        assert (our.start, our.end) == pytest.approx((their["start"], their["end"]))
        assert our.avg_logprob == pytest.approx(their["avg_logprob"], abs=1e-5)
        assert our.no_speech_prob == pytest.approx(their["no_speech_prob"], abs=1e-5)
        assert our.compression_ratio == their["compression_ratio"]
        assert_words(our.words or [], their.get("words", []))


def test_a_segment_cut_off_by_the_window_is_decoded_again(engine: Network) -> None:
    """Whisper moves its window to the end of the last complete segment: here by 1.4 s each time."""
    cut = copy.deepcopy(engine)
    tokenizer = get_tokenizer(True)
    with torch.no_grad():
        embedding, table = cut.decoder.token_embedding.weight, cut.decoder.blocks[-1].mlp[2].weight
        stop, end = (embedding[token].argmax() for token in (tokenizer.encode(".")[0], tokenizer.eot))
        table[:, stop] = 0
        table[end, stop] = table.max()
    samples = noise(5.0)
    theirs = whisper.transcribe(cut, samples[0], temperature=0.0, fp16=False)
    context = talk_context(samples)
    segments = transcript(cut, context).segments
    for our, their in zip(segments, theirs["segments"], strict=True):
        assert our.text == their["text"].strip()
        assert (our.start, our.end) == pytest.approx((their["start"], min(their["end"], 5.0)))
    assert [segment.start for segment in segments] == [0, 1.4, 2.8, 4.2]
    assert [partial["segment"]["start"] for partial in context.partials] == [0, 1.4, 2.8, 4.2]
    assert context.fractions == sorted(context.fractions)


@pytest.mark.parametrize(
    ("fields", "language"),
    [
        ({"temperature": 1.0}, "en"),
        ({"language": "German"}, "de"),
        ({"language": "pt-BR"}, "pt"),
        ({"language": "JA", "translate": True}, "ja"),
        ({"prompt": "Zoë, Ångström. "}, "en"),
        ({"prompt": "   "}, "en"),
    ],
    ids=str,
)
def test_options_reach_the_model(
    engine: Network, fields: dict[str, Any], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    initial: list[Sequence[int]] = []
    prefill = Decoder.prefill

    def recording(
        decoder: Decoder, rows: range, tokens: Sequence[Sequence[int]], sot_index: int = 0
    ) -> tuple[Tensor, Tensor]:
        initial.extend(tokens)
        return prefill(decoder, rows, tokens, sot_index)

    monkeypatch.setattr(Decoder, "prefill", recording)
    result = noise_transcript(engine, **fields)
    assert (result.text, result.language) == (SENTENCE, language)
    assert {segment.temperature for segment in result.segments} == {fields.get("temperature", 0.0)}
    task = "translate" if fields.get("translate") else "transcribe"
    tokenizer = get_tokenizer(True, language=language, task=task)
    *prompt, sot, language_token, task_token = initial[-1]
    assert (sot, language_token, task_token) == tokenizer.sot_sequence
    assert tokenizer.decode(prompt).replace("<|startofprev|>", "").strip() == fields.get("prompt", "").strip()


@pytest.mark.parametrize(("fields", "last", "tries"), [({}, 0.4, 3), ({"temperature": 0.2}, 0.2, 1)], ids=str)
def test_an_improbable_text_is_decoded_again_at_higher_temperatures(
    engine: Network, fields: dict[str, Any], last: float, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    monkeypatch.setattr(
        Decoded, "avg_logprob", property(lambda decoded: -0.5 if decoded.temperature >= 0.4 else -2.0)
    )
    prefill = Decoder.prefill

    def recording(
        decoder: Decoder, rows: range, tokens: Sequence[Sequence[int]], sot_index: int = 0
    ) -> tuple[Tensor, Tensor]:
        begun.extend(rows)
        return prefill(decoder, rows, tokens, sot_index)

    monkeypatch.setattr(Decoder, "prefill", recording)
    context = talk_context(noise(35))
    segments = transcript(engine, context, language="en", **fields).segments
    assert len(begun) == 2 * tries
    assert {segment.temperature for segment in segments} == {last}
    first, second = window_starts(35)
    assert [segment.start for segment in segments] == pytest.approx(
        [first, first + 1.6, second, second + 1.6]
    )
    assert context.fractions == sorted(context.fractions)
    assert len(context.partials) == 4


def test_word_times(engine: Network) -> None:
    result = noise_transcript(engine, seconds=35, word_timestamps=True)
    assert len(result.segments) == 4
    for segment in result.segments:
        assert segment.words
        assert " ".join(word.word for word in segment.words) == segment.text
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert (segment.start, segment.end) == (times[0], times[-1])
    starts = [segment.start for segment in result.segments]
    assert starts == sorted(starts)
    assert result.segments[-1].end <= result.duration
    assert any((word.probability or 0) > 0.99 for word in result.segments[0].words or [])


def test_long_recordings_are_transcribed_window_by_window(engine: Network) -> None:
    context = talk_context(noise(70))
    result = transcript(engine, context)
    starts = window_starts(70)
    assert len(starts) == 3
    assert [segment.start for segment in result.segments] == pytest.approx(
        [window + start for window in starts for start, _, _ in SPEECH], abs=0.001
    )
    assert result.text == " ".join([SENTENCE] * 3)
    assert [partial["segment"] for partial in context.partials] == [
        segment.model_dump(exclude_none=True) for segment in result.segments
    ]
    assert context.stages == ["decoding audio", "transcribing"]
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] == 1.0
    assert len(set(context.fractions)) >= 20  # one per token


def test_times_end_with_the_recording(engine: Network) -> None:
    result = noise_transcript(engine, seconds=2.0)
    assert [(segment.start, segment.end) for segment in result.segments] == [(0, 1.4), (1.6, 2.0)]


def test_silence_is_an_empty_text(engine: Network) -> None:
    context = talk_context(noise(65))
    output = transcribe(silenced(engine), context)
    result = result_of(output)
    assert (result.text, result.segments, result.duration) == ("", [], 65.0)
    assert result.language in LANGUAGES
    assert context.partials == []
    assert context.fractions[-1] == 1.0
    contents = {file.name: file.content for file in output.files if isinstance(file, FileOutput)}
    assert contents["transcription.vtt"] == b"WEBVTT\n\n"


@pytest.mark.parametrize(
    ("seconds", "fields", "note"),
    [(0, {}, "The recording is empty."), (40, {"vad": True}, "No speech was found.")],
    ids=str,
)
def test_no_speech_is_an_empty_text_with_a_note(
    engine: Network, seconds: float, fields: dict[str, Any], note: str
) -> None:
    context = talk_context(noise(seconds))
    result = transcript(engine, context, **fields)
    assert (result.text, result.segments, result.language) == ("", [], "und")
    assert (result.duration, result.notes) == (seconds, [note])
    assert context.fractions[-1] == 1.0


def test_notes_on_options_without_full_effect(engine: Network) -> None:
    notes = noise_transcript(engine, translate=True, word_timestamps=True, prompt="word " * 300).notes
    assert [re.findall(r"translation|last 223", note) for note in notes] == [["translation"], ["last 223"]]


# Cancellation


@pytest.mark.parametrize("after", [1, 3, 12, 25], ids=["audio", "encoder", "first steps", "later"])
def test_cancel_stops_at_the_next_step(engine: Network, after: int) -> None:
    context = talk_context(noise(70), cancel_after=after)
    with pytest.raises(Canceled):
        transcribe(engine, context, word_timestamps=True)
    assert context.checks == after + 1
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in engine.modules())
    assert noise_transcript(engine).text == SENTENCE


# Requests


@pytest.mark.parametrize(
    ("fields", "variant", "field", "says"),
    [
        ({"language": "klingon"}, "base", "language", "klingon"),
        ({"language": "xx-YY"}, "base", "language", "leave it out to detect it"),
        ({"language": "portugese"}, "base", "language", "'portuguese'"),
        ({"language": "yue"}, "medium", "language", "large-v3"),
        ({"translate": True}, "turbo", "translate", "large-v3"),
        ({"prompt": "so <|endoftext|> it ends"}, "base", "prompt", "<|endoftext|>"),
    ],
)
def test_refused(fields: dict[str, Any], variant: str, field: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(says)) as refusal:
        MODEL.check_request(TranscribeRequest(file=FILE, **fields), variant)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("fields", "variant"),
    [
        ({}, "tiny"),
        ({"language": "de"}, "tiny"),
        ({"language": "Cantonese"}, "turbo"),
        ({"language": ""}, "tiny"),
        ({"language": "Auto"}, "tiny"),
        ({"language": "zh_Hant_TW"}, "tiny"),
        ({"translate": True}, "large-v3"),
    ],
)
def test_accepted(fields: dict[str, Any], variant: str) -> None:
    MODEL.check_request(TranscribeRequest(file=FILE, **fields), variant)


# The engine


def test_health(engine: Network) -> None:
    MODEL.check_engine(engine)
    broken = copy.deepcopy(engine)
    with torch.no_grad():
        broken.decoder.ln.weight.fill_(float("nan"))
    with pytest.raises(RuntimeError, match="finite"):
        MODEL.check_engine(broken)


def test_importing_the_module_imports_nothing_heavy() -> None:
    code = "import sys, deployments.models.whisper.model; print({'torch', 'whisper'} & set(sys.modules))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert done.stdout.strip() == b"set()"
