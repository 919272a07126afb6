"""Commands that run a job: transcribe, key, separate, speak, dialogue and music."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, TypeVar

import typer

from audiograph import Artifact, Audiograph, Job
from audiograph.cli._inputs import read_script, read_text
from audiograph.cli._outputs import check_output, output_file
from audiograph.cli._params import (
    Detach,
    Folder,
    Input,
    Model,
    Timeout,
    Variant,
    WordTimestamps,
    without_unset,
)
from audiograph.cli._script import parse_turns, parse_voices
from audiograph.cli._session import Session, jsonable, session_of
from audiograph.cli._terminal import print_line, print_path, print_text
from audiograph.cli._waiting import opened, wait
from audiograph.errors import NotFound, UnexpectedResponse
from audiograph.schemas import AudioFormat, PitchResult, TranscribeResult

TextFormat = Literal["txt", "srt", "vtt", "json"]
Paths = Sequence[Path]
ResultT = TypeVar("ResultT", TranscribeResult, PitchResult)


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command()(transcribe)
    app.command()(key)
    app.command()(separate)
    app.command()(speak)
    app.command()(dialogue)
    app.command()(music)


def transcribe(
    context: typer.Context,
    file: Input,
    *,
    language: Annotated[str | None, typer.Option(help="Language, such as en; detected if absent.")] = None,
    translate: Annotated[bool, typer.Option("--translate", help="Translate into English.")] = False,
    word_timestamps: WordTimestamps = False,
    prompt: Annotated[str | None, typer.Option(help="Text that conditions vocabulary and style.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=1, help="Sampling temperature.")] = None,
    model: Model = None,
    variant: Variant = None,
    output: Folder = None,
    text_format: Annotated[
        TextFormat | None, typer.Option("--format", help="Print or save only this format.")
    ] = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Transcribe speech; print the text, or save it as txt, srt, vtt and json with --output."""
    session = session_of(context)
    _check_folder(output, detach=detach)
    with session.client() as client:
        with opened(session, file) as recording:
            fields = without_unset(language=language, translate=translate, word_timestamps=word_timestamps)
            fields |= without_unset(prompt=prompt, temperature=temperature, model=model, variant=variant)
            job = client.transcribe(recording, wait=False, **fields)

        def save(done: Job) -> Paths:
            return _save(client, done, output, f".{text_format}" if text_format else "")

        def show(done: Job, paths: Paths) -> None:
            if output is not None:
                _print_paths(paths)
            elif text_format is not None:
                artifact = _artifacts_with_suffix(done, f".{text_format}")[0]
                print_text(client.artifacts.download(artifact).decode("utf-8"))
            else:
                print_text(_result(done, TranscribeResult).text.strip() + "\n")

        _finish_job(session, client, job, save, show, detach=detach, timeout=timeout)


def key(
    context: typer.Context,
    file: Input,
    *,
    model: Model = None,
    variant: Variant = None,
    output: Folder = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Detect the musical key of a recording; --output saves a plot of its chroma."""
    session = session_of(context)
    _check_folder(output, detach=detach)
    with session.client() as client:
        with opened(session, file) as recording:
            fields = without_unset(model=model, variant=variant)
            job = client.analyze_pitch(recording, wait=False, **fields)

        def show(done: Job, paths: Paths) -> None:
            found = _result(done, PitchResult)
            pitches = ", ".join(found.dominant_pitches) or "none"
            print_line(f"{found.detected_key}  (confidence {found.confidence:.2f}; strongest: {pitches})")
            _print_paths(paths)

        _finish_job(
            session,
            client,
            job,
            lambda done: _save(client, done, output),
            show,
            detach=detach,
            timeout=timeout,
        )


def separate(
    context: typer.Context,
    file: Input,
    *,
    stems: Annotated[
        str | None, typer.Option(help="Stems to save, such as vocals,drums; all if absent.")
    ] = None,
    two_stems: Annotated[str | None, typer.Option(help="Save this stem and the sum of all others.")] = None,
    shifts: Annotated[
        int | None, typer.Option(min=0, max=20, help="Random shifts to average; more are slower and better.")
    ] = None,
    overlap: Annotated[
        float | None, typer.Option(help="Overlap of segments, as a fraction of their length.")
    ] = None,
    segment: Annotated[float | None, typer.Option(help="Length of a segment in seconds.")] = None,
    audio_format: Annotated[
        AudioFormat | None, typer.Option("--format", help="Audio format; wav if absent.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Output folder; by default named for the file."),
    ] = None,
    model: Model = None,
    variant: Variant = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Separate a recording into stems, and save one file for each."""
    session = session_of(context)
    folder = output or Path(f"{Path(file).stem}-stems")
    with session.client() as client:
        with opened(session, file) as recording:
            _check_folder(folder, detach=detach)  # named for the file, which is there
            names = None if stems is None else [name.strip() for name in stems.split(",")]
            fields = without_unset(
                stems=names, two_stems=two_stems, shifts=shifts, overlap=overlap, segment=segment
            )
            fields |= without_unset(format=audio_format, model=model, variant=variant)
            job = client.separate(recording, wait=False, **fields)

        def save(done: Job) -> Paths:
            return _save(client, done, folder)

        _finish_job(session, client, job, save, _show_paths, detach=detach, timeout=timeout)


def speak(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="Text to speak; - reads it from stdin.")],
    *,
    voice: Annotated[str | None, typer.Option(help="A voice from `audiograph voices list`.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.25, max=4, help="Factor of the natural pace.")] = None,
    word_timestamps: WordTimestamps = False,
    audio_format: Annotated[
        AudioFormat | None,
        typer.Option("--format", help="Audio format; by default the ending of --output, or wav."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="Output file or folder; speech.wav if absent."),
    ] = None,
    model: Model = None,
    variant: Variant = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Speak a text, and save the recording; with --word-timestamps, subtitles as well."""
    session = session_of(context)
    target, audio_format = output_file(output, "speech", audio_format)
    _check_file(target, detach=detach)
    with session.client() as client:
        fields = without_unset(voice=voice, speed=speed, model=model, variant=variant)
        fields |= without_unset(word_timestamps=word_timestamps)
        job = client.speak(read_text(text, "text"), format=audio_format, wait=False, **fields)

        def save(done: Job) -> Paths:
            return _save_with_texts(client, done, target)

        _finish_job(session, client, job, save, _show_paths, detach=detach, timeout=timeout)


def dialogue(
    context: typer.Context,
    script: Annotated[
        str, typer.Argument(help="Path of lines such as `Anna: Hello.`; - reads them from stdin.")
    ],
    *,
    voice: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEAKER=VOICE", help="Voice of a speaker, by default of the same name; repeatable."
        ),
    ] = None,
    audio_format: Annotated[
        AudioFormat | None,
        typer.Option("--format", help="Audio format; by default the ending of --output, or wav."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="Output file or folder; dialogue.wav if absent."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed; the same seed gives the same speech.")
    ] = None,
    word_timestamps: WordTimestamps = False,
    model: Model = None,
    variant: Variant = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Speak a dialogue with several voices; save the recording and its subtitles."""
    session = session_of(context)
    target, audio_format = output_file(output, "dialogue", audio_format)
    _check_file(target, detach=detach)
    turns = parse_turns(read_script(script), parse_voices(voice or []))
    with session.client() as client:
        fields = without_unset(seed=seed, word_timestamps=word_timestamps, model=model, variant=variant)
        job = client.dialogue(turns, format=audio_format, wait=False, **fields)

        def save(done: Job) -> Paths:
            return _save_with_texts(client, done, target)

        _finish_job(session, client, job, save, _show_paths, detach=detach, timeout=timeout)


def music(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="Description of the music; - reads it from stdin.")] = "",
    *,
    duration: Annotated[float | None, typer.Option(help="Duration in seconds; 10 if absent.")] = None,
    file: Annotated[
        str | None,
        typer.Option(help="Melody to follow, or beginning to continue; a path or an id."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed; the same seed gives the same music.")] = None,
    bpm: Annotated[int | None, typer.Option(help="Tempo, in beats per minute.")] = None,
    key: Annotated[str | None, typer.Option(help='Key, such as "A minor".')] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="Strength of the prompt's guidance.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Sampling temperature; lower is more predictable.")
    ] = None,
    audio_format: Annotated[
        AudioFormat | None,
        typer.Option("--format", help="Audio format; by default the ending of --output, or wav."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="Output file or folder; music.wav if absent."),
    ] = None,
    model: Model = None,
    variant: Variant = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Generate music from a text, and save the recording."""
    session = session_of(context)
    target, audio_format = output_file(output, "music", audio_format)
    _check_file(target, detach=detach)
    with session.client() as client:
        with _optional(session, file) as recording:
            fields = without_unset(
                duration=duration, seed=seed, bpm=bpm, key=key, guidance_scale=guidance_scale
            )
            fields |= without_unset(temperature=temperature, model=model, variant=variant)
            fields |= without_unset(file=recording)
            job = client.generate_music(
                read_text(prompt, "prompt"), format=audio_format, wait=False, **fields
            )

        def save(done: Job) -> Paths:
            return [client.artifacts.download(_first_artifact(done), target)]

        _finish_job(session, client, job, save, _show_paths, detach=detach, timeout=timeout)


def _check_folder(folder: Path | None, *, detach: bool) -> None:
    if folder is not None:
        _check_file(folder / "any", detach=detach)


def _check_file(target: Path, *, detach: bool) -> None:
    if not detach:  # which saves nothing
        check_output(target)


def _optional(session: Session, file: str | None) -> AbstractContextManager[BinaryIO | str | None]:
    return nullcontext() if file is None else opened(session, file)


def _finish_job(
    session: Session,
    client: Audiograph,
    job: Job,
    save: Callable[[Job], Paths],
    show_text: Callable[[Job, Paths], None],
    *,
    detach: bool,
    timeout: float | None,
) -> None:
    if detach:
        session.show(job, lambda: print_line(job.id))
        return
    done = wait(session, client, job, timeout=timeout)
    paths = save(done)
    document = {**jsonable(done), "saved": [str(path) for path in paths]}
    session.show(document, lambda: show_text(done, paths))


def _save(client: Audiograph, job: Job, folder: Path | None, suffix: str = "") -> Paths:
    if folder is None:
        return []
    if not suffix:
        return client.jobs.save_all(job, folder)
    artifacts = _artifacts_with_suffix(job, suffix)
    return [client.artifacts.download(artifact, f"{folder}/") for artifact in artifacts]


def _save_with_texts(client: Audiograph, job: Job, target: Path) -> Paths:
    """Save the recording, and beside it the texts, such as subtitles."""
    texts = [artifact for artifact in job.artifacts if not artifact.media_type.startswith("audio/")]
    return [client.artifacts.download(_first_artifact(job), target)] + [
        client.artifacts.download(text, target.with_suffix(Path(text.name).suffix)) for text in texts
    ]


def _artifacts_with_suffix(job: Job, suffix: str) -> list[Artifact]:
    found = [artifact for artifact in job.artifacts if artifact.name.endswith(suffix)]
    if not found:
        names = ", ".join(artifact.name for artifact in job.artifacts) or "nothing"
        raise NotFound(f"job {job.id} has no {suffix} artifact; it has {names}", field="format")
    return found


def _first_artifact(job: Job) -> Artifact:
    return _artifacts_with_suffix(job, "")[0]


def _result(job: Job, record: type[ResultT]) -> ResultT:
    if not isinstance(job.result, record):
        raise UnexpectedResponse(f"job {job.id} succeeded without a {record.__name__}")
    return job.result


def _show_paths(_: Job, paths: Paths) -> None:
    _print_paths(paths)


def _print_paths(paths: Paths) -> None:
    for path in paths:
        print_path(path)
