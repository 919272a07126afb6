"""Commands that make a job and show its result: transcribe, key, separate, speak, dialogue, music."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar, cast, get_args

import typer

from audiograph import Artifact, Audiograph, Job
from audiograph.cli._params import Detach, Folder, Input, Model, Timeout, Variant, given
from audiograph.cli._script import turns_of, voices_of
from audiograph.cli._session import Session, jsonable, session_of
from audiograph.cli._waiting import upload, wait
from audiograph.errors import InvalidRequest, NotFound, UnexpectedResponse
from audiograph.schemas import AudioFormat, PitchResult, TranscribeResult

TextFormat = Literal["txt", "srt", "vtt", "json"]
Paths = Sequence[Path]
R = TypeVar("R", TranscribeResult, PitchResult)


def register(app: typer.Typer) -> None:
    """Add the commands."""
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
    language: Annotated[str | None, typer.Option(help="Such as en; detected if absent.")] = None,
    translate: Annotated[bool, typer.Option("--translate", help="Into English.")] = False,
    word_timestamps: Annotated[bool, typer.Option("--word-timestamps", help="Times of each word.")] = False,
    prompt: Annotated[str | None, typer.Option(help="Text that sets vocabulary and style.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    model: Model = None,
    variant: Variant = None,
    output: Folder = None,
    kind: Annotated[
        TextFormat | None, typer.Option("--format", help="Print or save this file alone.")
    ] = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Speech to text, printed, or saved as txt, srt, vtt and json with --output."""
    session = session_of(context)
    with session.client() as client:
        fields = given(language=language, translate=translate, word_timestamps=word_timestamps)
        fields |= given(prompt=prompt, temperature=temperature, model=model, variant=variant)
        job = client.transcribe(upload(session, client, file), wait=False, **fields)

        def save(done: Job) -> Paths:
            return _save(client, done, output, f".{kind}" if kind else "")

        def show(done: Job, paths: Paths) -> None:
            if output is not None:
                _print_paths(paths)
            elif kind is not None:
                artifact = _with_suffix(done, f".{kind}")[0]
                typer.echo(client.artifacts.download(artifact).decode("utf-8"), nl=False)
            else:
                typer.echo(_result(done, TranscribeResult).text.strip())

        _finish(session, client, job, save, show, detach=detach, timeout=timeout)


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
    """The musical key of a recording, with the picture of its chroma saved by --output."""
    session = session_of(context)
    with session.client() as client:
        fields = given(model=model, variant=variant)
        job = client.analyze_pitch(upload(session, client, file), wait=False, **fields)

        def show(done: Job, paths: Paths) -> None:
            found = _result(done, PitchResult)
            pitches = ", ".join(found.dominant_pitches)
            typer.echo(f"{found.detected_key}  (confidence {found.confidence:.2f}; most heard: {pitches})")
            _print_paths(paths)

        _finish(
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
    stems: Annotated[str | None, typer.Option(help="Such as vocals,drums; all if absent.")] = None,
    two_stems: Annotated[str | None, typer.Option(help="This stem, and all the rest as one.")] = None,
    shifts: Annotated[int | None, typer.Option(min=0, max=20, help="More is slower and better.")] = None,
    overlap: Annotated[float | None, typer.Option(help="Of segments, as a fraction.")] = None,
    segment: Annotated[float | None, typer.Option(help="Seconds that the model hears at a time.")] = None,
    sound: Annotated[AudioFormat | None, typer.Option("--format", help="wav if absent.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Else a folder named for the file.")
    ] = None,
    model: Model = None,
    variant: Variant = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """A recording into its stems, saved as one file each."""
    session = session_of(context)
    folder = output or Path(f"{Path(file).stem}-stems")
    with session.client() as client:
        names = None if stems is None else [name.strip() for name in stems.split(",")]
        fields = given(stems=names, two_stems=two_stems, shifts=shifts, overlap=overlap, segment=segment)
        fields |= given(format=sound, model=model, variant=variant)
        job = client.separate(upload(session, client, file), wait=False, **fields)

        def save(done: Job) -> Paths:
            return _save(client, done, folder)

        _finish(session, client, job, save, _show_paths, detach=detach, timeout=timeout)


def speak(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to say; - reads it from stdin.")],
    *,
    voice: Annotated[str | None, typer.Option(help="One that `audiograph voices` lists.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.25, max=4, help="1 is the natural pace.")] = None,
    sound: Annotated[
        AudioFormat | None, typer.Option("--format", help="Else the ending of --output, else wav.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Else speech.wav, or as --format.")
    ] = None,
    model: Model = None,
    variant: Variant = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Text to speech, saved to a file."""
    session = session_of(context)
    sound = sound or _format_of(output)
    target = output or Path(f"speech.{sound}")
    with session.client() as client:
        fields = given(voice=voice, speed=speed, model=model, variant=variant)
        words = _words(text)
        job = client.speak(words, format=sound, wait=False, **fields)

        def save(done: Job) -> Paths:
            return [client.artifacts.download(_first(done), target)]

        _finish(session, client, job, save, _show_paths, detach=detach, timeout=timeout)


def dialogue(
    context: typer.Context,
    script: Annotated[str, typer.Argument(help="Lines such as `Anna: Hello.`; a path, or - for stdin.")],
    *,
    voice: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEAKER=VOICE", help="Else a speaker's name is the voice; again for others."),
    ] = None,
    sound: Annotated[
        AudioFormat | None, typer.Option("--format", help="Else the ending of --output, else wav.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Else dialogue.wav, or as --format.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same speech.")] = None,
    model: Model = None,
    variant: Variant = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Several voices in turn, saved to a file, with subtitles of who speaks when beside it."""
    session = session_of(context)
    sound = sound or _format_of(output)
    target = output or Path(f"dialogue.{sound}")
    turns = turns_of(_script(script), voices_of(voice or []))
    with session.client() as client:
        fields = given(seed=seed, model=model, variant=variant)
        job = client.dialogue(turns, format=sound, wait=False, **fields)

        def save(done: Job) -> Paths:
            subtitles = [one for one in done.artifacts if not one.media_type.startswith("audio/")]
            return [client.artifacts.download(_first(done), target)] + [
                client.artifacts.download(one, target.with_suffix(Path(one.name).suffix)) for one in subtitles
            ]

        _finish(session, client, job, save, _show_paths, detach=detach, timeout=timeout)


def music(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="What it shall sound like; - reads it from stdin.")] = "",
    *,
    duration: Annotated[float | None, typer.Option(help="In seconds; 10 if absent.")] = None,
    file: Annotated[
        str | None,
        typer.Option(help="A melody to follow, or a beginning to continue; a path or an id."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same music.")] = None,
    bpm: Annotated[int | None, typer.Option(help="Tempo, in beats per minute.")] = None,
    key: Annotated[str | None, typer.Option(help='Such as "A minor".')] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="How closely to follow the prompt.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Lower is plainer.")] = None,
    sound: Annotated[
        AudioFormat | None, typer.Option("--format", help="Else the ending of --output, else wav.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Else music.wav, or as --format.")
    ] = None,
    model: Model = None,
    variant: Variant = None,
    detach: Detach = False,
    timeout: Timeout = None,
) -> None:
    """Text to music, saved to a file."""
    session = session_of(context)
    sound = sound or _format_of(output)
    target = output or Path(f"music.{sound}")
    with session.client() as client:
        fields = given(duration=duration, seed=seed, bpm=bpm, key=key, guidance_scale=guidance_scale)
        fields |= given(temperature=temperature, model=model, variant=variant)
        fields |= given(file=None if file is None else upload(session, client, file))
        words = _words(prompt)
        job = client.generate_music(words, format=sound, wait=False, **fields)

        def save(done: Job) -> Paths:
            return [client.artifacts.download(_first(done), target)]

        _finish(session, client, job, save, _show_paths, detach=detach, timeout=timeout)


def _finish(
    session: Session,
    client: Audiograph,
    job: Job,
    save: Callable[[Job], Paths],
    show: Callable[[Job, Paths], None],
    *,
    detach: bool,
    timeout: float | None,
) -> None:
    if detach:
        session.show(job, lambda: typer.echo(job.id))
        return
    done = wait(session, client, job, timeout=timeout)
    paths = save(done)
    document = {**jsonable(done), "saved": [str(path) for path in paths]}
    session.show(document, lambda: show(done, paths))


def _save(client: Audiograph, job: Job, folder: Path | None, suffix: str = "") -> Paths:
    if folder is None:
        return []
    if not suffix:
        return client.jobs.save_all(job, folder)
    return [client.artifacts.download(one, f"{folder}/") for one in _with_suffix(job, suffix)]


def _with_suffix(job: Job, suffix: str) -> list[Artifact]:
    found = [artifact for artifact in job.artifacts if artifact.name.endswith(suffix)]
    if not found:
        names = ", ".join(artifact.name for artifact in job.artifacts) or "nothing"
        raise NotFound(f"job {job.id} made no {suffix} file; it made {names}", field="format")
    return found


def _first(job: Job) -> Artifact:
    return _with_suffix(job, "")[0]


def _result(job: Job, kind: type[R]) -> R:
    if not isinstance(job.result, kind):
        raise UnexpectedResponse(f"job {job.id} succeeded without a {kind.__name__}")
    return job.result


def _format_of(output: Path | None) -> AudioFormat:
    ending = output.suffix[1:].lower() if output else ""
    if not ending:
        return "wav"
    if ending not in get_args(AudioFormat):
        choices = ", ".join(get_args(AudioFormat))
        raise InvalidRequest(f"--output ends with .{ending}: choose a --format of {choices}", field="format")
    return cast(AudioFormat, ending)


def _script(given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    try:
        return Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the script {given!r} cannot be read: {error}", field="script") from error


def _words(given: str) -> str:
    return sys.stdin.read() if given == "-" else given


def _show_paths(_: Job, paths: Paths) -> None:
    _print_paths(paths)


def _print_paths(paths: Paths) -> None:
    for path in paths:
        typer.echo(str(path))
