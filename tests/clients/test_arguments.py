"""Bad arguments of every command: one clear line and exit status 2, before anything is sent."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from audiograph.cli import _extensions, app
from tests.clients.fake_server import FILE_ID, FakeServer

LONG = "x" * 100_000
NO_UNICODE = "\udcff"
IDS = ("", "a/b", "..", "a b", "é", LONG, NO_UNICODE)
NAMES = ("", "a\nb", LONG, NO_UNICODE)
FLAG = ("=x",)
FILES = ("", "-", "missing.wav", "folder", "empty.wav", "loop.wav", "talk.wav/x", "a\0b", LONG)
TARGETS = ("talk.wav/out.wav", "loop.wav/out.wav", "/proc/none/out.wav", f"{LONG}.wav")
FOLDERS = ("talk.wav", "loop.wav", "/proc/none", LONG)
SECONDS = ("-1", "nan", "x", "")
SEEDS = ("-1", "1.5", "nan", "4294967296", "x", "")

BAD: dict[str, tuple[str, ...]] = {
    "after": ("é", "a\nb", LONG, NO_UNICODE),
    "api_key": ("ключ", "a\nb", NO_UNICODE),
    "artifact": IDS,
    "audio_format": ("ogg", "", LONG),
    "bpm": ("-1", "29", "301", "nan", "x", ""),
    "config": ("", "missing.yaml", "folder", "a\0b", LONG),
    "creator": NAMES,
    "duration": ("-1", "0", "601", "nan", "inf", "x", ""),
    "file": FILES,
    "guidance_scale": ("-1", "0.5", "nan", "inf", "x", ""),
    "job": IDS,
    "key": (LONG, NO_UNICODE),
    "key_id": (),  # `test_keys_are_refused_in_one_line`: the database decides
    "language": (LONG, NO_UNICODE),
    "limit": ("-1", "0", "1.5", "nan", "x", ""),
    "model": NAMES,
    "name": ("", "x/y", "../x", "a\nb", LONG, NO_UNICODE),
    "overlap": ("-0.1", "1", "nan", "inf", "x", ""),
    "parent": IDS[:2] + IDS[3:],
    "path": FILES,
    "prompt": (LONG, NO_UNICODE),
    "script": ("", "missing.txt", "folder", "loop.wav", "binary.txt", "empty.wav", "a\0b", LONG),
    "seed": SEEDS,
    "segment": ("-1", "0", "601", "nan", "inf", "x", ""),
    "shifts": ("-1", "21", "1.5", "nan", "x", ""),
    "speed": ("-1", "0.2", "4.1", "nan", "inf", "x", ""),
    "status": ("lost", "", LONG),
    "stems": ("", "vocals,", ",", LONG, NO_UNICODE),
    "tag": NAMES,
    "task": ("sing", "", LONG),
    "temperature": ("-1", "3", "nan", "inf", "x", ""),
    "text": ("", LONG, NO_UNICODE),
    "text_format": ("doc", "", LONG),
    "timeout": SECONDS,
    "track": ("-1", "0", "1.5", "nan", "x", ""),
    "transcript": ("", LONG, NO_UNICODE),
    "two_stems": NAMES,
    "url": (
        "nowhere",
        "ftp://host",
        "http://",
        "http://h:99999",
        "http://h?x=1",
        "http://a\nb",
        LONG,
        NO_UNICODE,
    ),
    "variant": NAMES,
    "variation_set": IDS[:2] + IDS[3:],
}
"""Values that each argument or option refuses, by its name."""

SPECIAL: dict[tuple[str, str], tuple[str, ...]] = {
    ("artifacts download", "output"): TARGETS,
    ("dialogue", "voice"): ("", "Ann", "=en", "Ann=", LONG, "Ann=" + LONG),
    ("files delete", "file"): IDS,
    ("keys create", "name"): (),
    ("models load", "model"): ("", "a/b", "..", "a\nb", LONG, NO_UNICODE),
    ("models unload", "model"): ("", "a/b", "..", "a\nb", LONG, NO_UNICODE),
    ("speak", "voice"): NAMES,
    ("voices list", "model"): ("", "a\nb", LONG, NO_UNICODE),
    ("voices remove", "name"): ("", "..", ".", "a\nb", LONG, NO_UNICODE),
    **{(command, "output"): FOLDERS for command in ("transcribe", "key", "separate")},
    **{
        (command, "output"): (*TARGETS, "out.xyz", f"out.{'x' * 90}")
        for command in ("speak", "dialogue", "music")
    },
}
"""The same where the name has another meaning."""

VALID = {"file": "talk.wav", "path": "talk.wav", "script": "script.txt"}
"""Values of the required arguments beside the bad one."""


def _commands(group: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    group = group or get_command(app)
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from _commands(command, f"{path} {name}".strip())
    if not path:
        for name in _extensions.names():
            yield from _commands(_extensions.load(name), name)


def _cases() -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for path, command in COMMANDS.items():
        for parameter in command.params:
            if getattr(parameter, "is_flag", False) or parameter.name in FLAGS_OF_TYPER:
                yield path, parameter, FLAG
            else:
                special = SPECIAL.get((path, parameter.name))
                yield path, parameter, BAD[parameter.name] if special is None else special


FLAGS_OF_TYPER = ("help", "install_completion", "show_completion")
COMMANDS = dict(_commands())
CASES = list(_cases())


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with a recording, and with what may be mistaken for one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.wav").write_bytes(b"sound")
    (tmp_path / "script.txt").write_text("Ann: Hello.")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    return tmp_path


def _words(path: str, parameter: Any, value: str) -> list[str]:
    """Return a command line that is valid but for one value."""
    arguments = [
        value if needed is parameter else VALID.get(needed.name, "name")
        for needed in COMMANDS[path].params
        if needed.param_type_name == "argument" and (needed.required or needed is parameter)
    ]
    option = [] if parameter.param_type_name == "argument" else [_option(parameter, value)]
    command = [] if path else ["health"]  # without one, any value of the root's options is a usage error
    return [*path.split(), *option, *command, *(["--", *arguments] if arguments else [])]


def _option(parameter: Any, value: str) -> str:
    name: str = parameter.opts[0]
    return name + (value if value in FLAG else f"={value}")


def _run(server: FakeServer, *words: str) -> Result:
    return CliRunner().invoke(app, ["--url", server.url, *words])


def _assert_refused(result: Result, server: FakeServer, value: str) -> None:
    line = result.stderr
    assert result.exit_code == 2, (value[:99], result.output[:999], result.exception)
    assert line.startswith("error: "), line[:999]
    assert line.count("\n") == 1 and line.endswith("\n"), line[:999]
    assert len(line) < 700, line[:999]
    assert "Traceback" not in line
    assert result.stdout == ""
    assert server.seen == []


@pytest.mark.parametrize(
    ("path", "parameter", "values"), CASES, ids=[f"{path} {parameter.name}" for path, parameter, _ in CASES]
)
def test_every_argument_of_every_command_refuses_bad_values(
    server: FakeServer, files: Path, path: str, parameter: Any, values: tuple[str, ...]
) -> None:
    for value in values:
        _assert_refused(_run(server, *_words(path, parameter, value)), server, value)
    if parameter.required and parameter.param_type_name == "argument":
        _assert_refused(_run(server, *path.split()), server, "no argument")
    assert sorted(found.name for found in files.iterdir()) == [
        "binary.txt",
        "empty.wav",
        "folder",
        "loop.wav",
        "script.txt",
        "talk.wav",
    ]


def test_every_command_is_walked_over() -> None:
    assert set(COMMANDS) >= {
        "",
        "transcribe",
        "jobs watch",
        "files upload",
        "voices add",
        "keys revoke",
        "health",
    }
    assert ("files upload", "track") in {(path, parameter.name) for path, parameter, _ in CASES}


@pytest.mark.parametrize(
    "words",
    [("sing",), ("jobs", "sing"), (LONG,), ("--nope",), ("jobs", "list", f"--{LONG}"), ("key", "a", "b")],
)
def test_unknown_commands_and_options_are_refused(server: FakeServer, words: tuple[str, ...]) -> None:
    _assert_refused(_run(server, *words), server, words[0])


def test_a_message_names_the_argument_the_value_and_the_cure(server: FakeServer, files: Path) -> None:
    for words, message in {
        (
            "speak",
            "Hi",
            "--speed",
            "9",
        ): "--speed: Input should be less than or equal to 4 (given: '9') (see `",
        ("jobs", "get", "a/b"): "job is 'a/b': an id is 1 to 64 letters, digits",
        ("key", "missing.wav"): "file is 'missing.wav': No such file or directory; name a recording",
        ("key", "talk.wav", "--variant="): "variant: String should have at least 1 character (given: '')",
        ("key", "talk.wav", "-o", "talk.wav"): "output is 'talk.wav/any': no file can be written there",
        ("key", "empty.wav"): "file: 'empty.wav' is empty",
        (
            "health",
            "--url",
            "nowhere",
        ): "(--url, base_url or AUDIOGRAPH_URL) is 'nowhere': it must look like http:",
        (
            "files",
            "upload",
            "talk.wav",
            "--track",
            "0",
        ): "track: Input should be greater than or equal to 1 (given: 0)",
        ("files", "upload", FILE_ID, "--track", "2"): "upload the file again",
    }.items():
        result = _run(server, *words)
        assert message in result.stderr
        _assert_refused(result, server, message)


def test_a_usage_error_is_a_document_too(server: FakeServer) -> None:
    for words, field in ((("speak", "Hi", "--speed", "9"), "speed"), (("jobs", "get", "a/b"), "job")):
        result = _run(server, *words, "--json")
        assert result.exit_code == 2
        assert f'"field": "{field}"' in result.stdout
        assert result.stderr.count("\n") == 1
    assert '"code": "invalid_request"' in _run(server, "--nope", "--json").stdout


def test_a_key_is_never_shown(server: FakeServer) -> None:
    result = _run(server, "--api-key", "agk_secretключ", "health")
    assert result.exit_code == 2
    assert "secret" not in result.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_permissions_are_checked_first(server: FakeServer, files: Path) -> None:
    (files / "talk.wav").chmod(0)
    _assert_refused(_run(server, "key", "talk.wav"), server, "unreadable")
    (files / "folder").chmod(0o500)
    _assert_refused(_run(server, "speak", "Hi", "-o", "folder/a.wav"), server, "unwritable")
