"""The command line against a server on a real socket."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import audiograph
from audiograph.cli import app
from audiograph.cli._group import hoist_shared_options
from tests.clients.fake_server import FILE_ID, FakeServer, Reply


class Cli:
    """Runs commands against the fake server."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server

    def __call__(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, ["--url", self.server.url, *arguments], input=stdin)

    def json(self, *arguments: str, status: int = 0) -> Any:
        """Run a command with --json and parse its output."""
        result = self(*arguments, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)


@pytest.fixture
def cli(server: FakeServer) -> Cli:
    return Cli(server)


@pytest.fixture
def talk(tmp_path: Path) -> str:
    path = tmp_path / "talk.mp3"
    path.write_bytes(b"sound")
    return str(path)


def _submitted(server: FakeServer) -> Any:
    return json.loads(server.requests("POST", "/v1/jobs")[-1].body)


def test_transcribe_prints_the_text(cli: Cli, server: FakeServer, talk: str) -> None:
    result = cli("transcribe", talk, "--language", "en", "--word-timestamps", "--variant", "tiny")
    assert result.exit_code == 0
    assert result.stdout == "Hello there.\n"
    assert result.stderr == ""
    sent = {
        "task": "transcribe",
        "file": FILE_ID,
        "language": "en",
        "variant": "tiny",
        "word_timestamps": True,
    }
    assert _submitted(server) == sent


def test_transcribe_prints_or_saves_subtitles(
    cli: Cli, server: FakeServer, talk: str, tmp_path: Path
) -> None:
    contents = {"talk.srt": b"1\n00:00\n", "talk.txt": b"Hello"}
    server.job_artifacts = [server.add_artifact(name, content) for name, content in contents.items()]
    assert cli("transcribe", talk, "--format", "srt").stdout == "1\n00:00\n"
    folder = tmp_path / "out"
    assert cli("transcribe", talk, "--format", "srt", "-o", str(folder)).stdout == f"{folder}/talk.srt\n"
    assert [path.name for path in folder.iterdir()] == ["talk.srt"]
    document = cli.json("transcribe", talk, "-o", str(folder))
    assert document["saved"] == [f"{folder}/talk.srt", f"{folder}/talk.txt"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents
    assert cli("transcribe", talk, "--format", "vtt").exit_code == 2


def test_an_id_is_not_uploaded(cli: Cli, server: FakeServer) -> None:
    assert cli("transcribe", FILE_ID).exit_code == 0
    assert server.requests("POST", "/v1/files") == []


def test_key(cli: Cli, talk: str) -> None:
    result = cli("key", talk)
    assert result.stdout == "F# minor  (confidence 0.87; strongest: F#, A, C#)\n"
    assert cli.json("key", talk)["result"]["detected_key"] == "F# minor"


def test_separate_saves_the_stems(
    cli: Cli, server: FakeServer, talk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    contents = {"vocals.wav": b"voice", "bass.wav": b"low"}
    server.job_artifacts = [server.add_artifact(name, content) for name, content in contents.items()]
    result = cli("separate", talk, "--stems", "vocals, bass", "--variant", "mdx", "--shifts", "0")
    assert result.stdout == "talk-stems/vocals.wav\ntalk-stems/bass.wav\n"
    assert {path.name: path.read_bytes() for path in (tmp_path / "talk-stems").iterdir()} == contents
    assert _submitted(server) == {
        "task": "separate",
        "file": FILE_ID,
        "stems": ["vocals", "bass"],
        "variant": "mdx",
        "shifts": 0,
    }
    document = cli.json("separate", talk, "--two-stems", "vocals", "--format", "flac", "-o", "out")
    assert document["saved"] == ["out/vocals.wav", "out/bass.wav"]
    assert _submitted(server) == {
        "task": "separate",
        "file": FILE_ID,
        "two_stems": "vocals",
        "format": "flac",
    }
    assert cli("separate", talk, "--overlap", "0", "--segment", "5").exit_code == 0
    assert (_submitted(server)["overlap"], _submitted(server)["segment"]) == (0, 5)
    assert cli("separate", talk, "--overlap", "1").exit_code == 2
    assert cli("separate", talk, "--stems", "vocals,").exit_code == 2


def test_speak_saves_the_recording(
    cli: Cli, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.job_artifacts = [server.add_artifact("speech.wav", b"sound")]
    assert cli("speak", "Hello", "--voice", "en", "--speed", "1.5").stdout == "speech.wav\n"
    assert _submitted(server) == {"task": "speak", "text": "Hello", "voice": "en", "speed": 1.5}
    assert cli.json("speak", "Hello", "-o", "out.mp3")["saved"] == ["out.mp3"]
    assert _submitted(server)["format"] == "mp3"
    cli("speak", "Hello", "--word-timestamps")
    assert _submitted(server) == {"task": "speak", "text": "Hello", "word_timestamps": True}
    assert cli("speak", "-", "-o", "in.flac", stdin="From stdin").exit_code == 0
    assert _submitted(server)["text"] == "From stdin"
    assert {path.name for path in tmp_path.iterdir()} == {"speech.wav", "out.mp3", "in.flac"}
    unknown = cli("speak", "Hello", "-o", "out.xyz")
    assert unknown.exit_code == 2
    assert "wav, mp3, flac, opus, aac" in unknown.stderr


def test_music_saves_the_recording(
    cli: Cli, server: FakeServer, talk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.job_artifacts = [server.add_artifact("music.wav", b"sound")]
    options = ("--duration", "2.5", "--seed", "7", "--bpm", "90")
    done = cli("music", "A slow waltz", *options)
    assert done.stdout == "music.wav\n", done.stderr
    request = {"task": "generate_music", "prompt": "A slow waltz", "duration": 2.5, "seed": 7, "bpm": 90}
    assert _submitted(server) == request
    assert cli.json("music", "--file", talk, "--variant", "melody", "-o", "out.flac")["saved"] == ["out.flac"]
    sent = _submitted(server)
    assert (sent["variant"], sent["format"], sent["file"][:5]) == ("melody", "flac", "file_")


def test_detach_prints_the_id(cli: Cli, server: FakeServer, talk: str) -> None:
    assert cli("key", talk, "--detach").stdout == "job-0\n"
    assert cli.json("key", talk, "--detach")["status"] == "queued"
    assert server.requests("GET", "/v1/jobs/job-0/events") == []


def test_random_weights_are_warned_about_beside_the_result(cli: Cli, server: FakeServer, talk: str) -> None:
    server.weights = "random"
    for arguments in (("transcribe", talk), ("key", talk), ("jobs", "list"), ("jobs", "get", "job-0")):
        result = cli(*arguments)
        assert 'weights: "random"' in result.stderr, arguments
        assert "untrained" not in result.stdout
    assert 'weights: "random"' in cli("transcribe", talk, "--json").stderr


@pytest.mark.parametrize("setting", [{"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_result_stays_on_a_terminal(server: FakeServer, talk: str, setting: dict[str, str]) -> None:
    shown = _on_terminal([*_program(server), "key", talk], setting)
    before, result, after = shown.partition(b"F# minor")
    assert result
    assert b"\x1b" not in after  # nothing erases it
    assert (b"\x1b" in before) is (setting["TERM"] == "xterm")
    assert (b"\x1b[33m" in before) is (setting == {"TERM": "xterm"})


def _on_terminal(command: list[str], setting: dict[str, str]) -> bytes:
    """Return everything that a command writes to its terminal."""
    reader, terminal = os.openpty()
    running = subprocess.Popen(command, stdout=terminal, stderr=terminal, env=_environment() | setting)
    os.close(terminal)
    written = b""
    with suppress(OSError):  # the terminal is closed
        while part := os.read(reader, 65536):
            written += part
    os.close(reader)
    assert running.wait() == 0, written
    return written


def test_a_warning_is_yellow_on_a_terminal(
    cli: Cli, server: FakeServer, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    server.weights = "random"
    assert "\x1b[33m" in cli("transcribe", talk).stderr


@pytest.mark.parametrize(("outcome", "status"), [("failed", 1), ("canceled", 4)])
def test_a_job_that_did_not_succeed(
    cli: Cli, server: FakeServer, talk: str, outcome: str, status: int
) -> None:
    server.outcome = outcome
    document = cli.json("transcribe", talk, status=status)
    assert document["status"] == outcome
    result = cli("transcribe", talk)
    assert result.exit_code == status
    assert result.stdout == ""
    assert "error: job" in result.stderr


def test_waiting_too_long(cli: Cli, server: FakeServer, talk: str) -> None:
    server.endless.set()
    result = cli("transcribe", talk, "--timeout", "0.2")
    assert result.exit_code == 5
    assert "it keeps running" in result.stderr
    assert server.requests("POST", "/v1/jobs/job-0/cancel") == []


@pytest.mark.parametrize(
    ("status", "code", "exit_status"),
    [
        (401, "unauthenticated", 2),
        (404, "not_found", 2),
        (422, "not_served", 2),
        (500, "internal_error", 1),
        (503, "weights_missing", 1),
    ],
)
def test_errors_of_the_server(cli: Cli, server: FakeServer, status: int, code: str, exit_status: int) -> None:
    server.fail(status, code)
    document = cli.json("models", "list", status=exit_status)
    assert document == {"error": {"code": code, "message": f"failing with {code}", "field": "x"}}


def test_a_full_queue_says_when_to_retry(cli: Cli, server: FakeServer) -> None:
    server.fail(429, "queue_full", Retry_After="3600")
    result = cli("jobs", "list")
    assert result.exit_code == 1
    assert "Try again in 3600 s." in result.stderr


def test_another_server(cli: Cli, server: FakeServer) -> None:
    server.replies.append(Reply(200, b"<html>"))
    assert cli("models", "list").exit_code == 1


def test_no_server(pauses: list[float]) -> None:
    with FakeServer() as gone:
        url = gone.url
    result = CliRunner().invoke(app, ["health", "--url", url])
    assert result.exit_code == 3
    assert "make serve" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("transcribe", "none.mp3"),
        ("transcribe",),
        ("speak", "hi", "--speed", "9"),
        ("speak", ""),
        ("health", "--url", "nowhere"),
        ("jobs", "list", "--status", "lost"),
        ("sing",),
    ],
)
def test_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr != ""


def test_jobs(cli: Cli, server: FakeServer) -> None:
    for text in ("a", "b", "c"):
        cli("speak", text, "--detach")
    assert [job["id"] for job in cli.json("jobs", "list", "--limit", "2")] == ["job-0", "job-1"]
    assert "job-2  speak" in cli("jobs", "list").stdout
    assert "job-0" in cli("jobs", "get", "job-0").stdout
    assert cli("jobs", "watch", "job-0").exit_code == 0
    assert cli.json("jobs", "watch", "job-0")["status"] == "succeeded"
    lines = cli("jobs", "events", "job-0").stdout.splitlines()
    assert lines[1] == "00:00:00  progress  25%"
    assert [event["id"] for event in cli.json("jobs", "events", "job-0", "--after", "2")] == ["3", "4"]
    assert cli("jobs", "cancel", "job-1").stdout == "job-1 canceled\n"
    assert cli("jobs", "get", "job-9").exit_code == 2


def test_watching_a_failure(cli: Cli, server: FakeServer) -> None:
    cli("speak", "a", "--detach")
    server.outcome = "failed"
    assert cli("jobs", "watch", "job-0").exit_code == 1


def test_a_track_is_named_in_an_upload(cli: Cli, server: FakeServer, talk: str) -> None:
    assert cli("files", "upload", talk, "--track", "2").stdout == f"{FILE_ID}\n"
    body = server.requests("POST", "/v1/files")[-1].body
    assert body.index(b'name="track"\r\n\r\n2\r\n') < body.index(b'name="file"')


def test_a_path_that_is_no_unicode_is_printed_byte_for_byte(server: FakeServer, tmp_path: Path) -> None:
    server.job_artifacts = [server.add_artifact("v.wav", b"x")]
    name = b"\xff \x1b[31m"
    (tmp_path / os.fsdecode(name + b".wav")).write_bytes(b"sound")
    for option in ((), ("--json",)):
        command = [*_program(server), "separate", os.fsdecode(name + b".wav"), *option]
        done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path, env=_environment())
        assert b"\xff" in done.stdout
        assert done.stderr == b""


@pytest.mark.parametrize("words", [("jobs", "list"), ("jobs", "list", "--json"), ("jobs", "events", "job-0")])
def test_a_closed_pipe_ends_in_one_line(server: FakeServer, words: tuple[str, ...]) -> None:
    server.submit({"task": "speak"}, "another")
    reader, writer = os.pipe()
    os.close(reader)
    command = [*_program(server), *words]
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=_environment()
    )
    os.close(writer)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: stdout was closed")


@pytest.mark.parametrize("words", [("jobs", "list"), ("jobs", "list", "--json"), ("speak", "a"), ("--help",)])
def test_a_full_disk_ends_in_one_line(server: FakeServer, tmp_path: Path, words: tuple[str, ...]) -> None:
    server.job_artifacts = [server.add_artifact("speech.wav", b"sound")]
    done = _with_output(server, "stdout", words, tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*No space left on device\n", done.stderr.decode()), done.stderr


@pytest.mark.parametrize(
    ("words", "status"), [(("files", "delete", FILE_ID), 0), (("voices", "remove", "x"), 2), (("speak",), 2)]
)
def test_a_message_that_is_lost_leaves_the_exit_status(
    server: FakeServer, tmp_path: Path, words: tuple[str, ...], status: int
) -> None:
    assert _with_output(server, "stderr", words, tmp_path).returncode == status


def _with_output(
    server: FakeServer, stream: str, words: tuple[str, ...], folder: Path
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with one of its streams on a disk that is full."""
    with Path("/dev/full").open("wb") as full:
        streams: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: full}
        command = [*_program(server), *words]
        return subprocess.run(command, **streams, check=False, cwd=folder, env=_environment())


def test_stdin_that_is_closed_or_no_text_is_refused(server: FakeServer) -> None:
    for redirect in ("<&-", "< <(printf '\\xff')"):
        shell = f"{' '.join(_program(server))} speak - {redirect}"
        done = subprocess.run(
            ["bash", "-c", shell], capture_output=True, text=True, check=False, env=_environment()
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert done.stderr.startswith("error: text")
    assert server.seen == []


def test_a_process_substitution_is_uploaded(server: FakeServer) -> None:
    shell = f"{' '.join(_program(server))} key <(printf sound)"
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=True, env=_environment()
    )
    assert done.stdout.startswith("F# minor")


def test_a_message_of_the_server_is_one_line_without_control_characters(server: FakeServer) -> None:
    body = json.dumps({"error": {"code": "internal_error", "message": "a\nb \x1b[31mred"}}).encode()
    server.replies.append(Reply(500, body, {"Content-Type": "application/json"}))
    result = CliRunner().invoke(app, ["--url", server.url, "jobs", "list"])
    assert (result.exit_code, result.stderr) == (1, "error: a b \\x1b[31mred\n")


def test_names_of_the_server_cannot_steer_a_terminal(cli: Cli, server: FakeServer) -> None:
    hostile = "a\x1b[31m\rb\u202ec\x9b2J [red]:smile:"
    server.voices = [{**VOICE, "name": hostile}]
    listed = cli("voices", "list").stdout
    assert "a\\x1b[31m b\\u202ec\\x9b2J [red]:smile:" in listed
    document = cli("voices", "list", "--json").stdout
    assert not {*"\x1b\r\u202e\x9b"} & {*document}
    assert json.loads(document)[0]["name"] == hostile


def test_a_message_has_no_emoji_and_no_markup(server: FakeServer) -> None:
    body = json.dumps({"error": {"code": "internal_error", "message": "x:smile:y [red]z[/red]"}}).encode()
    server.replies.append(Reply(500, body, {"Content-Type": "application/json"}))
    result = CliRunner().invoke(app, ["--url", server.url, "jobs", "list"])
    assert result.stderr == "error: x:smile:y [red]z[/red]\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("speak", "a", "--variant="), "--variant: String should have at least 1 character"),
        (("speak", "a", "--voice", "a\nb"), "--voice: should have no control characters"),
        (("separate", FILE_ID, "--stems", "a,,b"), "--stems: String should have at least 1 character"),
        (("artifacts", "list", "--parent", "a/b"), "--parent: should have only letters from A to Z"),
        (("dialogue", "-", "--voice", "Ann"), "--voice is 'Ann': write SPEAKER=VOICE"),
        (("speak", "a", "-o", "a.xyz"), "--output ends with '.xyz': choose a --format"),
        (("speak", "a", "--format", "x" * 5000), f"--format: '{'x' * 78}… is not one of 'wav', 'mp3'"),
    ],
)
def test_an_option_is_named_as_it_was_given(
    cli: Cli, server: FakeServer, words: tuple[str, ...], error: str
) -> None:
    result = cli(*words, stdin="Ann: Hello.")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {error}")
    assert server.seen == []


def test_an_error_of_the_server_names_the_option(cli: Cli, server: FakeServer) -> None:
    refusal = {"code": "invalid_request", "message": "there is no such one", "field": "voice"}
    server.replies.append(
        Reply(422, json.dumps({"error": refusal}).encode(), {"Content-Type": "application/json"})
    )
    assert cli("speak", "a", "--voice", "x").stderr == "error: --voice: there is no such one\n"


@pytest.mark.parametrize("words", [("dialogue", "-"), ("dialogue", "script.txt"), ("speak", "-")])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_script_in_another_encoding_is_told_so(
    server: FakeServer, tmp_path: Path, words: tuple[str, ...], locale: str
) -> None:
    script = "Ann: H\u00e9llo.".encode("utf-16")
    (tmp_path / "script.txt").write_bytes(script)
    environment = _environment() | {"LC_ALL": locale}
    done = subprocess.run(
        [*_program(server), *words],
        input=script,
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert (done.returncode, b"is not text in UTF-8" in done.stderr) == (2, True), done.stderr


def test_a_mark_of_byte_order_is_no_part_of_a_speaker(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    script = "\ufeffAnn: Hello."
    (tmp_path / "script.txt").write_text(script, encoding="utf-8")
    for words, stdin in ((str(tmp_path / "script.txt"), None), ("-", script)):
        assert cli("dialogue", words, "--detach", stdin=stdin).exit_code == 0
        assert _submitted(server)["turns"][0]["voice"] == "Ann"


@pytest.mark.parametrize("folder", ["new/", "my.songs"])
@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("speak", "a"), "speech.wav"),
        (("dialogue", "-"), "dialogue.wav"),
        (("music", "a"), "music.wav"),
        (("speak", "a", "--format", "mp3"), "speech.mp3"),
    ],
)
def test_a_recording_is_saved_in_a_folder(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], name: str, folder: str
) -> None:
    (tmp_path / "my.songs").mkdir()
    server = cli.server
    server.job_artifacts = [server.add_artifact("any.wav", b"sound")]
    result = cli(*words, "-o", f"{tmp_path}/{folder}", stdin="Ann: Hello.")
    assert result.stdout == f"{tmp_path / folder / name}\n", result.stderr
    assert (tmp_path / folder / name).read_bytes() == b"sound"


def test_an_artifact_is_downloaded_into_a_new_folder(
    cli: Cli, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    identity = server.add_artifact("a.wav", b"sound")
    assert cli("artifacts", "download", identity, "-o", "new/").stdout == "new/a.wav\n"


def test_everything_is_printed_by_one_module() -> None:
    folder = Path(audiograph.__path__[0]) / "cli"
    printing = re.compile(r"\becho\(|\bprint\(")
    found = [path.name for path in folder.glob("*.py") if printing.search(path.read_text())]
    assert sorted(found) == ["_session.py", "_terminal.py"]


def _program(server: FakeServer) -> list[str]:
    return [sys.executable, "-m", "audiograph", "--url", server.url]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(audiograph.__path__[0]).parent)}


def test_files_and_artifacts(cli: Cli, server: FakeServer, talk: str, tmp_path: Path) -> None:
    assert cli("files", "upload", talk).stdout == f"{FILE_ID}\n"
    assert cli.json("files", "upload", talk)["name"] == "talk.mp3"
    assert cli("files", "delete", FILE_ID).exit_code == 0
    identity = server.add_artifact("a.wav", b"sound")
    assert identity in cli("artifacts", "list", "--tag", "x").stdout
    target = tmp_path / "b.wav"
    assert cli.json("artifacts", "download", identity, "-o", str(target))["saved"] == [str(target)]
    assert target.read_bytes() == b"sound"


MODEL = {
    "id": "espeak",
    "created": 0,
    "tasks": ["speak"],
    "variants": ["base", "big"],
    "default_variant": "base",
    "weights": "none",
    "voices": [{"id": "en", "name": "English", "language": "en", "gender": "male"}],
}


VOICE = {"id": "en", "name": "English", "language": "en", "source": "built-in", "models": ["espeak"]}


def test_voices(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    server.voices = [VOICE]
    assert "English" in cli("voices", "list").stdout
    assert cli.json("voices", "list", "--model", "espeak")[0]["id"] == "en"
    assert cli.json("voices", "list", "--model", "higgs") == []
    recording = tmp_path / "anna.wav"
    recording.write_bytes(b"sound")
    assert cli("voices", "add", "anna", str(recording), "--transcript", "Hello.").stdout == "anna\n"
    assert server.voices[-1]["transcript"] == "Hello."
    assert cli("voices", "remove", "anna").exit_code == 0
    assert server.voices == [VOICE]
    assert cli("voices", "remove", "anna").exit_code == 2


def test_models(cli: Cli, server: FakeServer) -> None:
    server.models = [{**MODEL, "id": "whisper", "tasks": ["transcribe"], "weights": "random"}, MODEL]
    listed = cli("models", "list")
    assert "base*, big" in listed.stdout
    assert "whisper has weights" in listed.stderr
    assert "took 5 bytes" in cli("models", "load", "espeak", "--variant", "big").stdout
    assert cli.json("models", "unload", "espeak")["bytes"] == 5


def test_health(cli: Cli, server: FakeServer) -> None:
    assert "is alive and ready" in cli("health").stdout
    server.ready = False
    assert cli.json("health", status=1)["readiness"]["ready"] is False


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"audiograph {audiograph.__version__}\n"


def test_shared_options_may_stand_anywhere() -> None:
    assert hoist_shared_options(["key", "a.mp3", "--json"]) == ["--json", "key", "a.mp3"]
    assert hoist_shared_options(["jobs", "list", "--url", "u", "--limit", "1"]) == [
        "--url",
        "u",
        "jobs",
        "list",
        "--limit",
        "1",
    ]
    assert hoist_shared_options(["jobs", "--api-key=k", "list"]) == ["--api-key=k", "jobs", "list"]
    assert hoist_shared_options(["speak", "--", "--json"]) == ["speak", "--", "--json"]
    assert hoist_shared_options(["keys", "list", "--json"]) == ["keys", "list", "--json"]
    assert hoist_shared_options(["health", "--url"]) == ["--url", "health"]


def test_keys_are_a_command_of_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    helped = CliRunner().invoke(app, ["keys", "--help"])
    assert helped.exit_code == 0
    assert "revoke" in helped.stdout
    monkeypatch.setitem(sys.modules, "deployments.serve.keys", None)
    missing = CliRunner().invoke(app, ["keys", "list"])
    assert missing.exit_code == 2
    assert "checkout" in missing.stderr
    assert CliRunner().invoke(app, ["keys", "list", "--help"]).exit_code == 2
    overview = CliRunner().invoke(app, ["--help"])
    assert overview.exit_code == 0
    assert "keys" in overview.stdout


def test_the_overview_does_not_import_the_server() -> None:
    code = "import sys; from audiograph.cli import app; app(['--help'], standalone_mode=False); "
    code += "print(sorted(name for name in sys.modules if name.startswith('deployments')))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "keys" in shown.stdout
    assert shown.stdout.endswith("[]\n")


def test_keys_are_a_command_of_their_own_too() -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "deployments.serve.keys", "--help"], capture_output=True, text=True, check=True
    )
    assert "python -m deployments.serve.keys" in helped.stdout


def test_keys_are_found_from_any_folder(tmp_path: Path) -> None:
    """Running the installed script, which does not search the current folder for modules."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = Path(sys.executable).with_name("audiograph")
    helped = subprocess.run(
        [script, "keys", "--help"], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert "revoke" in helped.stdout


@pytest.mark.parametrize(
    ("command", "canceled"),
    [(("speak", "hello"), True), (("jobs", "watch", "job-0"), False)],
)
def test_ctrl_c_cancels_the_job_that_the_command_made(
    server: FakeServer, tmp_path: Path, command: tuple[str, ...], canceled: bool
) -> None:
    server.submit({"task": "speak"}, "another")
    server.endless.set()
    environment = {**os.environ, "PYTHONPATH": str(Path(audiograph.__path__[0]).parent)}
    running = subprocess.Popen(
        [sys.executable, "-m", "audiograph", "--url", server.url, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert server.event_stream_opened.wait(60)
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert stdout == ""
    assert ("canceled job job-1" in stderr) is canceled
    cancels = [seen.path for seen in server.seen if seen.path.endswith("/cancel")]
    assert cancels == (["/v1/jobs/job-1/cancel"] if canceled else [])
