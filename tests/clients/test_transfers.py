"""Uploads in constant memory; complete and verified downloads."""

import hashlib
import io
import os
import threading
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from audiograph import Artifact, AsyncAudiograph, Audiograph, File
from audiograph._saving import safe_name
from audiograph.errors import (
    ChecksumMismatch,
    ConnectionFailed,
    InvalidAudio,
    InvalidRequest,
    UnexpectedResponse,
)
from tests.clients.fake_server import NOW, FakeServer, Reply

MIB = 1024**2
LARGE = 200 * MIB
CONTENT = os.urandom(3 * MIB + 17)


def _upload(server: FakeServer) -> Any:
    return server.requests("POST", "/v1/files")[-1]


class _Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


def test_paths_bytes_files_and_iterators_are_uploaded(
    client: Audiograph, server: FakeServer, tmp_path: Path
) -> None:
    path = tmp_path / "talk.mp3"
    path.write_bytes(b"sound")
    with path.open("rb") as file:
        sources: dict[str, Any] = {"path": path, "str": str(path), "file": file}
        for source in sources.values():
            assert client.files.upload(source).name == "talk.mp3"
    whole = (b"sound", bytearray(b"sound"), memoryview(b"sound"))
    parts = (iter([b"so", b"und"]), iter([bytearray(b"so"), memoryview(b"und")]))
    contents: tuple[Any, ...] = (*whole, *parts, io.BytesIO(b"sound"), _Unseekable(b"sound"))
    for source in contents:
        assert client.files.upload(source, name="a.wav").name == "a.wav"
    assert client.files.upload(b"sound").name == "audio"
    hashes = {hashlib.sha256(b"sound").hexdigest()}
    assert {_sent(seen.body) for seen in server.seen} == hashes


@pytest.mark.parametrize("content", [[1, 2], (0.5,), {"a": 1}, [b"so", None], [["x"]]])
async def test_parts_that_are_no_bytes_are_refused(
    client: Audiograph, async_client: AsyncAudiograph, content: Any
) -> None:
    with pytest.raises(TypeError, match=r"must yield bytes|it yields text"):
        client.files.upload(content)

    async def stream() -> AsyncIterator[Any]:
        for part in content:
            yield part

    with pytest.raises(TypeError, match=r"must yield bytes|it yields text"):
        await async_client.files.upload(stream())


def _sent(body: bytes) -> str:
    return hashlib.sha256(body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]).hexdigest()


def test_a_known_size_is_sent_as_content_length(client: Audiograph, server: FakeServer) -> None:
    client.files.upload(b"sound")
    assert int(_upload(server).headers["content-length"]) == _upload(server).size
    client.files.upload(iter([b"sound"]))
    assert _upload(server).headers["transfer-encoding"] == "chunked"


def test_an_open_file_is_uploaded_from_where_it_stands(client: Audiograph, server: FakeServer) -> None:
    file = io.BytesIO(b"skip sound")
    file.seek(5)
    server.replies.append(Reply(503))
    assert client.files.upload(file).bytes == 5


@pytest.mark.parametrize("name", ['a"b.wav', "a\r\nX: y.wav", "日本.wav", "a\\b.wav"])
def test_a_file_name_cannot_break_the_form(client: Audiograph, server: FakeServer, name: str) -> None:
    client.files.upload(b"sound", name=name)
    head = _upload(server).body.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert len(head) == 3
    assert head[1].count(b'"') == 4


def test_200_megabytes_need_little_memory(client: Audiograph, server: FakeServer) -> None:
    with _little_memory():
        client.files.upload(bytes(MIB) for _ in range(LARGE // MIB))
    assert _upload(server).size > LARGE


async def test_200_megabytes_of_an_async_stream_need_little_memory(
    async_client: AsyncAudiograph, server: FakeServer
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(LARGE // MIB):
            yield bytes(MIB)

    with _little_memory():
        await async_client.files.upload(stream(), name="long.wav")
    assert _upload(server).size > LARGE


class _little_memory:  # noqa: N801
    def __enter__(self) -> None:
        tracemalloc.start()

    def __exit__(self, *_: object) -> None:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * MIB


@pytest.mark.parametrize(
    "make", [lambda: b"sound", lambda: io.BytesIO(b"sound"), lambda: bytearray(b"sound")]
)
def test_what_can_be_read_again_is_sent_again(
    client: Audiograph, server: FakeServer, pauses: list[float], make: Callable[[], Any]
) -> None:
    server.replies.extend([Reply(503), Reply(None)])
    assert client.files.upload(make()).bytes == 5
    assert len(pauses) == 2


def test_what_cannot_be_read_again_is_not_sent_again(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    server.replies.append(Reply(503))
    with pytest.raises(UnexpectedResponse):
        client.files.upload(iter([b"sound"]))
    assert pauses == []


def test_an_iterator_that_was_not_started_is_sent_again(pauses: list[float]) -> None:
    with FakeServer() as gone:
        url = gone.url
    content = iter([b"sound"])
    with Audiograph(url, retries=3) as client, pytest.raises(ConnectionFailed):
        client.files.upload(content)
    assert len(pauses) == 3
    assert list(content) == [b"sound"]


def test_a_missing_path_and_text_are_refused(client: Audiograph, server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.transcribe(tmp_path / "none.mp3")
    with pytest.raises(TypeError, match="binary mode"):
        client.files.upload(io.StringIO("text"))  # type: ignore[arg-type]


@pytest.mark.parametrize("call", ["transcribe", "upload"])
def test_what_cannot_be_read_is_refused_before_anything_is_sent(
    client: Audiograph, server: FakeServer, tmp_path: Path, call: str
) -> None:
    send: Any = client.transcribe if call == "transcribe" else client.files.upload
    (tmp_path / "empty.wav").touch()
    with pytest.raises(InvalidAudio, match=r"'empty\.wav' is empty"):
        send(tmp_path / "empty.wav")
    for path, kind in ((tmp_path, IsADirectoryError), ("", FileNotFoundError), ("x" * 999, OSError)):
        with pytest.raises(kind):
            send(path)
    with (tmp_path / "out.wav").open("wb") as file, pytest.raises(TypeError, match="for reading"):
        send(file)

    async def stream() -> AsyncIterator[bytes]:
        yield b"sound"

    with pytest.raises(TypeError, match="AsyncAudiograph"):
        send(stream())
    assert server.seen == []


def test_a_pipe_is_uploaded_in_chunks(client: Audiograph, server: FakeServer, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"sound",))
    writer.start()
    assert client.files.upload(pipe).bytes == 5
    writer.join()


def test_a_track_is_a_field_before_the_file(client: Audiograph, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(b"sound")
    for content in (tmp_path / "film.mkv", b"sound", iter([b"sound"])):
        assert client.files.upload(content, name="film.mkv", track=2).bytes == 5
        assert _form(_upload(server)) == [("track", None, b"2"), ("file", "film.mkv", b"sound")]
        assert _upload(server).size == len(_upload(server).body)
    client.files.upload(b"sound")
    assert _form(_upload(server)) == [("file", "audio", b"sound")]


async def test_a_track_is_a_field_before_the_file_async(
    async_client: AsyncAudiograph, server: FakeServer
) -> None:
    await async_client.files.upload(b"sound", track=1)
    assert _form(_upload(server)) == [("track", None, b"1"), ("file", "audio", b"sound")]
    with pytest.raises(InvalidRequest, match="track"):
        await async_client.files.upload(b"sound", track=0)


def test_a_track_is_sent_again_with_the_file(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    server.replies.append(Reply(503))
    client.files.upload(b"sound", track=3)
    assert [_form(seen)[0] for seen in server.seen] == [("track", None, b"3")] * 2


def _form(seen: Any) -> list[tuple[Any, str | None, Any]]:
    """Parse a form with Python's own parser: name, file name and content of each part."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    parts: Any = message_from_bytes(head + seen.body).get_payload()
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_payload(decode=True),
        )
        for part in parts
    ]


@pytest.mark.parametrize("target", ["file.txt/song.wav", "loop/song.wav", "/proc/none/song.wav", "x" * 999])
def test_where_nothing_can_be_written_nothing_is_downloaded(
    client: Audiograph, server: FakeServer, tmp_path: Path, target: str
) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "loop").symlink_to("loop")
    calls: tuple[Any, ...] = (client.artifacts.download, client.files.download, client.jobs.save_all)
    for save in (*calls, client.jobs.save_zip):
        with pytest.raises(OSError):
            save("any", tmp_path / target)
    assert server.seen == []
    assert {path.name for path in tmp_path.iterdir()} == {"file.txt", "loop"}


async def test_the_async_client_reads_paths_too(
    async_client: AsyncAudiograph, server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "talk.mp3").write_bytes(b"sound")
    file = await async_client.files.upload(tmp_path / "talk.mp3")
    assert (file.name, file.bytes) == ("talk.mp3", 5)


def test_a_broken_download_is_resumed(
    client: Audiograph, server: FakeServer, pauses: list[float], tmp_path: Path
) -> None:
    server.cuts = deque([MIB, 0, MIB])
    artifact = client.artifacts.get(server.add_artifact("song.wav", CONTENT))
    path = client.artifacts.download(artifact, tmp_path)
    assert path == tmp_path / "song.wav"
    assert path.read_bytes() == CONTENT
    ranges = [
        seen.headers.get("range") for seen in server.requests("GET", f"/v1/artifacts/{artifact.id}/content")
    ]
    assert ranges[0] is None
    assert len(ranges) == 4
    assert all(header is not None for header in ranges[1:])


async def test_a_broken_download_is_resumed_async(
    async_client: AsyncAudiograph, server: FakeServer, pauses: list[float], tmp_path: Path
) -> None:
    server.cuts = deque([MIB, 0])
    path = await async_client.artifacts.download(server.add_artifact("song.wav", CONTENT), tmp_path / "x.wav")
    assert path.read_bytes() == CONTENT
    assert await async_client.artifacts.download("art_" + "0" * 32) == CONTENT


def test_a_server_without_ranges_is_read_from_the_start(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    server.cuts, server.supports_ranges = deque([MIB, MIB]), False
    assert client.artifacts.download(server.add_artifact("song.wav", CONTENT)) == CONTENT


def test_retries_of_a_download_without_progress_end(
    client: Audiograph, server: FakeServer, pauses: list[float], tmp_path: Path
) -> None:
    server.cuts = deque([0] * 99)
    with pytest.raises(ConnectionFailed):
        client.artifacts.download(server.add_artifact("song.wav", CONTENT), tmp_path / "song.wav")
    assert list(tmp_path.iterdir()) == []
    assert len(pauses) == 4


def test_other_bytes_are_refused_and_leave_nothing(
    client: Audiograph, server: FakeServer, tmp_path: Path
) -> None:
    target = tmp_path / "song.wav"
    target.write_bytes(b"the one before")
    identity = server.add_artifact("song.wav", CONTENT, sha256="0" * 64)
    with pytest.raises(ChecksumMismatch):
        client.artifacts.download(identity, target)
    with pytest.raises(ChecksumMismatch):
        client.artifacts.download(identity)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the one before"]


def test_an_empty_artifact_is_downloaded(client: Audiograph, server: FakeServer) -> None:
    assert client.artifacts.download(server.add_artifact("none.txt", b"")) == b""


def test_a_file_is_downloaded(client: Audiograph, server: FakeServer, tmp_path: Path) -> None:
    server.replies.append(Reply(200, b"sound"))
    record = {
        "id": "file_1",
        "name": "a.wav",
        "media_type": "audio/wav",
        "bytes": 5,
        "url": "",
        "created_at": NOW,
    }
    file = File.model_validate({**record, "sha256": hashlib.sha256(b"sound").hexdigest()})
    assert client.files.download(file) == b"sound"
    assert server.seen[0].path == "/v1/files/file_1/content"


def test_all_artifacts_of_a_job_are_saved(client: Audiograph, server: FakeServer, tmp_path: Path) -> None:
    """Equal names do not overwrite each other, and no name leads out of the folder."""
    names = ("a.wav", "a.wav", "../../evil.sh", "b.txt")
    server.job_artifacts = [
        server.add_artifact(name, name.encode() + bytes([n])) for n, name in enumerate(names)
    ]
    job = client.speak("hello")
    paths = client.jobs.save_all(job, tmp_path / "out")
    first, second = server.job_artifacts[:2]
    assert [path.name for path in paths] == [f"{first}-a.wav", f"{second}-a.wav", "evil.sh", "b.txt"]
    assert {path.parent for path in paths} == {tmp_path / "out"}
    assert [path.read_bytes()[-1] for path in paths] == [0, 1, 2, 3]


def test_artifacts_are_saved_as_a_zip(client: Audiograph, tmp_path: Path) -> None:
    job = client.speak("hello")
    assert client.jobs.save_zip(job, tmp_path).read_bytes() == b"PK zip"
    assert [path.name for path in tmp_path.iterdir()] == [f"{job.id}.zip"]


def test_artifacts_are_searched(client: Audiograph, server: FakeServer) -> None:
    identity = server.add_artifact("a.wav", b"x")
    found = list(client.artifacts.search(tag="t", creator="me"))
    assert [artifact.id for artifact in found] == [identity]
    assert isinstance(found[0], Artifact)
    assert server.seen[0].query == {"tag": ["t"], "creator": ["me"], "limit": ["100"]}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("song.wav", "song.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\song.wav", "song.wav"),
        ("a\x00b\n.wav", "ab.wav"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("dir/", "unnamed"),
        ("é" * 200 + ".wav", "é" * 125 + ".wav"),
    ],
)
def test_names_from_the_network_stay_in_their_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_sources_are_not_read_ahead(client: Audiograph, server: FakeServer) -> None:
    """A failing source ends the upload with its own error."""

    def broken() -> Iterator[bytes]:
        yield b"some"
        raise RuntimeError("the microphone fell down")

    with pytest.raises(RuntimeError, match="microphone"):
        client.files.upload(broken())
