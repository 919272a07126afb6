"""Subtitles that players accept: SubRip and WebVTT, beside text and JSON."""

import json
import re
from collections.abc import Callable, Iterable

import pytest

from audiograph.schemas import Segment, TranscribeResult
from deployments.models.kit.subtitles import Cue, to_json, to_srt, to_text, to_vtt, transcript_files


def result(*segments: tuple[float, float, str]) -> TranscribeResult:
    return TranscribeResult(
        text=" ".join(text for *_, text in segments),
        language="en",
        duration=segments[-1][1] if segments else 0.0,
        segments=[Segment(id=n, start=a, end=b, text=text) for n, (a, b, text) in enumerate(segments)],
    )


GREETING = result((0, 1.5, "Hello, Zoë."), (3661.0407, 3662, "Bye."))


def test_srt_numbers_its_cues_and_has_commas() -> None:
    assert to_srt(GREETING.segments) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello, Zoë.\n\n2\n01:01:01,041 --> 01:01:02,000\nBye.\n\n"
    )


def test_vtt_has_a_header_and_dots() -> None:
    assert to_vtt(GREETING.segments) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello, Zoë.\n\n01:01:01.041 --> 01:01:02.000\nBye.\n\n"
    )


def test_text_has_a_line_per_segment() -> None:
    assert to_text(GREETING) == "Hello, Zoë.\nBye.\n"


def test_json_is_the_result() -> None:
    assert TranscribeResult.model_validate_json(to_json(GREETING)) == GREETING


def test_text_that_looks_like_markup_stays_text() -> None:
    segments = result((0, 1, "a <b> & c --> d\n\n2")).segments
    assert to_vtt(segments).splitlines()[3] == "a &lt;b&gt; &amp; c --&gt; d 2"
    assert to_srt(segments).splitlines()[2] == "a <b> & c -> d 2"


@pytest.mark.parametrize("write", [to_srt, to_vtt])
def test_cues_never_overlap_and_never_end_before_they_start(
    write: Callable[[Iterable[Cue | Segment]], str],
) -> None:
    crooked = result((0, 2, "a"), (1.5, 1.2, "b"), (2, 2, "c"), (2, 4, ""), (3, 5, "d"))
    times = [
        int(h) * 3_600_000 + int(m) * 60_000 + int(s) * 1000 + int(ms)
        for h, m, s, ms in re.findall(r"(\d\d):(\d\d):(\d\d)[,.](\d{3})", write(crooked.segments))
    ]
    assert len(times) == 8  # the cue without text is left out
    assert all(start < end for start, end in zip(times[::2], times[1::2], strict=True))
    assert all(end <= start for end, start in zip(times[1::2], times[2::2], strict=False))


def test_a_transcript_without_speech_has_valid_files() -> None:
    files = {file.name: file.content for file in transcript_files(result())}
    assert files["transcription.txt"] == files["transcription.srt"] == b""
    assert files["transcription.vtt"] == b"WEBVTT\n\n"
    assert json.loads(files["transcription.json"])["segments"] == []


def test_files_are_utf8_and_have_their_media_types() -> None:
    files = transcript_files(GREETING, stem="talk")
    assert [(file.name, file.media_type) for file in files] == [
        ("talk.json", "application/json"),
        ("talk.txt", "text/plain"),
        ("talk.srt", "application/x-subrip"),
        ("talk.vtt", "text/vtt"),
    ]
    assert all("Zoë" in file.content.decode("utf-8") for file in files)
