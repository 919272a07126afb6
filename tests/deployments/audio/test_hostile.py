"""Hostile and damaged files: always an error, never a crash, output on stderr or an opened reference."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiograph.errors import InvalidAudio
from deployments.audio import libav
from deployments.audio.files import AudioInfo, decode, probe
from deployments.config import LimitsConfig
from deployments.storage.names import base_name
from tests.support import mp4_atoms as atoms
from tests.support.hostile import HOSTILE, HostileFile
from tests.support.sounds import CONTAINERS, tone, wav_bytes

LIMITS = LimitsConfig()
SMALL = LimitsConfig(max_audio_seconds=60, max_decoded_bytes=32 * 1024**2)
REFUSED = {key: file for key, file in HOSTILE.items() if file.stored_name is None}
RENAMED = {key: file for key, file in HOSTILE.items() if file.stored_name is not None}


@pytest.mark.parametrize("hostile", REFUSED.values(), ids=REFUSED)
def test_each_is_refused_saying_why(
    hostile: HostileFile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(hostile.read())
    with pytest.raises(InvalidAudio) as refused:
        probe(path, LIMITS)
    assert refused.value.status == hostile.expected_status
    assert refused.value.field == "file"
    for word in hostile.expected_words:
        assert word.lower() in refused.value.message.lower()
    assert str(tmp_path) not in refused.value.message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("hostile", RENAMED.values(), ids=RENAMED)
def test_hostile_names_become_safe(hostile: HostileFile, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(hostile.read())
    assert probe(path, LIMITS).duration == 1.0
    assert base_name(hostile.name) == hostile.stored_name


MEASURE = """
import resource, sys
from pathlib import Path
from audiograph.errors import InvalidAudio
from deployments.config import LimitsConfig
from deployments.audio.files import probe
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
probe(Path(sys.argv[1]), LimitsConfig())
before = peak()
for path in sys.argv[2:]:
    try:
        probe(Path(path), LimitsConfig())
    except InvalidAudio:
        pass
print(peak() - before)
"""


def with_pictures(megabytes: int) -> list[bytes | int]:
    """Build a FLAC with pictures; a number in the list stands for that many zeros."""
    content = CONTAINERS["flac"](tone(seconds=1), 44_100)
    kind = (3).to_bytes(4, "big") + (9).to_bytes(4, "big") + b"image/png" + bytes(20)
    length = 2**24 - 1
    picture: list[bytes | int] = [
        b"\x06" + length.to_bytes(3, "big") + kind + (length - 41).to_bytes(4, "big"),
        length - 41,
    ]
    return [b"fLaC\0\0\0\x22" + content[8:42], *picture * (megabytes // 16), b"\x81\0\0\0" + content[42:]]


def with_attachment(megabytes: int) -> list[bytes | int]:
    """Build a WebM with one attachment before its audio; a number stands for that many zeros."""
    content = CONTAINERS["recorded.webm"](tone(seconds=1, sample_rate=48_000), 48_000)
    at = content.find(b"\x1f\x43\xb6\x75")
    length = megabytes * 1024**2
    header = b"\x19\x41\xa4\x69" + (1 << 56 | length).to_bytes(8, "big")
    file = b"\x61\xa7" + (1 << 56 | length - 10).to_bytes(8, "big")
    data = b"\x46\x5c" + (1 << 56 | length - 20).to_bytes(8, "big")
    return [content[:at] + header + file + data, length - 20, content[at:]]


def test_neither_metadata_nor_an_index_takes_memory_without_bound(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(CONTAINERS["m4a"](tone(seconds=1), 44_100))
    files: list[list[bytes | int]] = [
        [atoms.index_bomb(80_000_000)],
        [atoms.run_bomb(80_000_000)],
        with_pictures(512),
        with_attachment(512),
    ]
    paths = []
    for number, parts in enumerate(files):
        path = tmp_path / str(number)
        with path.open("wb") as file:  # sparse: the zeros take no space
            for part in parts:
                file.seek(part, 1) if isinstance(part, int) else file.write(part)
        paths.append(str(path))
    command = [sys.executable, "-c", MEASURE, str(short), *paths]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": "clients:."}
    )
    assert int(done.stdout) < 192 * 1024  # KiB: twice the 64 MiB that libav may read, plus a margin
    assert done.stderr == ""


# References to other files and addresses.


@pytest.fixture
def visited() -> Iterator[tuple[str, list[str]]]:
    """The URL of a server with a valid WAV at every path, and the list of requested paths."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            content = wav_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()


REFERENCES: dict[str, Callable[[str], bytes]] = {
    "m3u": lambda url: f"#EXTM3U\n#EXTINF:1,\n{url}\n".encode(),
    "hls": lambda url: f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n".encode(),
    "concat": lambda url: f"ffconcat version 1.0\nfile '{url}'\n".encode(),
    "pls": lambda url: f"[playlist]\nNumberOfEntries=1\nFile1={url}\n".encode(),
    "dash": lambda url: f'<?xml version="1.0"?><MPD><BaseURL>{url}</BaseURL></MPD>'.encode(),
    "plain": lambda url: url.encode(),
    "mp4_url": atoms.referring,
    "mp4_alias": atoms.alias,
    "hls_behind_id3": lambda url: b"ID3\x04\0\0\0\0\0\0" + f"#EXTM3U\n#EXTINF:1,\n{url}\n".encode(),
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_addresses_are_not_visited(kind: str, visited: tuple[str, list[str]], tmp_path: Path) -> None:
    url, paths = visited
    path = tmp_path / "upload"
    path.write_bytes(REFERENCES[kind](f"{url}/sound.wav"))
    with pytest.raises(InvalidAudio):
        probe(path, LIMITS)
    assert paths == []


@pytest.mark.parametrize("kind", REFERENCES)
@pytest.mark.parametrize("form", ["file://{path}", "{path}", "{name}", "concat:{path}", "subfile:{path}"])
def test_other_files_are_not_opened(
    kind: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr(libav, "_refuse_reference", lambda *arguments: opened.append(arguments))
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav_bytes())
    path = tmp_path / "upload"
    path.write_bytes(REFERENCES[kind](form.format(path=secret, name=secret.name)))
    with pytest.raises(InvalidAudio):
        decode(path, limits=LIMITS)
    assert opened == []


# Fuzzing.

SEEDS = {kind: write(tone(seconds=0.5, sample_rate=48_000), 48_000) for kind, write in CONTAINERS.items()}
fuzzed = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def check_result(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        info = probe(path, SMALL)
    except InvalidAudio as error:
        assert error.message
        with pytest.raises(InvalidAudio):
            decode(path, limits=SMALL)
        return
    assert isinstance(info, AudioInfo)
    assert info.media_type.startswith("audio/")
    samples, rate = decode(path, limits=SMALL)
    assert samples.shape == (info.channels, round(info.duration * rate))


@fuzzed
@given(content=st.binary(max_size=4096))
def test_random_bytes(content: bytes, tmp_path: Path) -> None:
    check_result(tmp_path / "fuzz", content)


@pytest.mark.parametrize("kind", CONTAINERS)
@fuzzed
@given(data=st.data())
def test_random_bytes_behind_a_good_beginning(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    seed = SEEDS[kind]
    kept = data.draw(st.integers(4, min(len(seed), 600)))
    check_result(tmp_path / "fuzz", seed[:kept] + data.draw(st.binary(max_size=2048)))


@pytest.mark.parametrize("kind", CONTAINERS)
@fuzzed
@given(data=st.data())
def test_flipped_bits_and_cuts(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(SEEDS[kind])
    near_the_start = st.integers(0, min(len(content), 1000) - 1)
    anywhere = st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(near_the_start | anywhere)] ^= 1 << data.draw(st.integers(0, 7))
    check_result(tmp_path / "fuzz", bytes(content[: data.draw(anywhere | st.just(len(content)))]))


@pytest.mark.parametrize("kind", CONTAINERS)
@fuzzed
@given(data=st.data())
def test_extreme_numbers_in_headers(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(SEEDS[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(content), 700) - 4))
        number = data.draw(st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1]))
        content[at : at + 4] = number.to_bytes(4, data.draw(st.sampled_from(["big", "little"])))
    check_result(tmp_path / "fuzz", bytes(content))
