"""Uploads, downloads and removal."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from audiograph.errors import RangeNotSatisfiable
from deployments.ingress.backend import Backend
from deployments.ingress.native.content import parse_range
from tests.deployments.ingress.conftest import stored_files, wav
from tests.support.films import Sound, film_bytes
from tests.support.sounds import tone

FORM = "multipart/form-data; boundary=XX"


def form(
    content: bytes = b"", head: str = 'name="file"; filename="a.wav"', tail: str = "\r\n--XX--\r\n"
) -> bytes:
    return f"--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + tail.encode()


async def test_an_upload_is_measured_and_can_be_downloaded_again(client: httpx.AsyncClient) -> None:
    content = wav(0.5, 16_000)
    created = await client.post("/v1/files", files={"file": ("talk.mp3", content, "audio/mpeg")})
    assert created.status_code == 201
    record = created.json()
    assert (record["name"], record["media_type"], record["bytes"]) == ("talk.mp3", "audio/wav", len(content))
    assert (record["duration"], record["sample_rate"], record["channels"]) == (0.5, 16_000, 1)
    assert record["url"] == f"http://localhost/v1/files/{record['id']}/content"
    assert (await client.get(f"/v1/files/{record['id']}")).json() == record
    assert (await client.get(record["url"])).content == content


async def test_a_file_is_deleted_unless_a_job_needs_it(client: httpx.AsyncClient, backend: Backend) -> None:
    file_id = (await client.post("/v1/files", files={"file": ("a.wav", wav())})).json()["id"]
    backend.store.pin("job", {file_id: "file"})
    refused = await client.delete(f"/v1/files/{file_id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    backend.store.unpin("job")
    assert (await client.delete(f"/v1/files/{file_id}")).status_code == 204
    assert (await client.get(f"/v1/files/{file_id}")).status_code == 404


async def test_an_artifact_is_no_file(client: httpx.AsyncClient, put: Any) -> None:
    artifact = put("a.wav", b"abc")
    answer = await client.delete(f"/v1/files/{artifact.id}")
    assert answer.status_code == 404
    assert (await client.get(f"/v1/artifacts/{artifact.id}")).status_code == 200


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("../../etc/passwd.wav", "passwd.wav"),
        ("C:\\music\\a.wav", "a.wav"),
        ("naïve 音.wav", "naïve 音.wav"),
        ('a "quoted" name.wav', 'a "quoted" name.wav'),
    ],
)
async def test_file_names_lose_their_folders_and_nothing_else(
    client: httpx.AsyncClient, name: str, stored: str
) -> None:
    created = await client.post("/v1/files", files={"file": (name, wav())})
    assert created.json()["name"] == stored


@pytest.mark.parametrize(
    ("head", "stored"),
    [
        ("name=\"file\"; filename*=UTF-8''na%C3%AFve%20%E9%9F%B3.wav", "naïve 音.wav"),
        (
            'name="file"; filename="=?utf-8?B?bmHDr3ZlLndhdg==?="; filename*=utf-8\'\'na%C3%AFve.wav',
            "naïve.wav",
        ),
        ("name=file; filename=talk.wav", "talk.wav"),
        ('name="file"; filename="100%41.wav"', "100%41.wav"),
        ("name=\"file\"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd.wav", "passwd.wav"),
        ('name="file"\r\nContent-Type: audio/wav', "unnamed"),
    ],
)
async def test_every_way_to_send_a_file_name_is_understood(
    client: httpx.AsyncClient, head: str, stored: str
) -> None:
    created = await client.post("/v1/files", content=form(wav(), head), headers={"content-type": FORM})
    assert (created.status_code, created.json().get("name")) == (201, stored)


@pytest.mark.parametrize(
    ("content_type", "body", "status", "field", "says"),
    [
        (None, wav(), 400, "Content-Type", "multipart/form-data"),
        ("audio/wav", wav(), 400, "Content-Type", "audio/wav"),
        ("multipart/form-data", form(wav()), 400, "Content-Type", "boundary"),
        (f"multipart/form-data; boundary={'X' * 300}", form(wav()), 400, "Content-Type", "256"),
        (FORM, b"", 400, None, "breaks off"),
        (FORM, b"not a form at all", 400, None, "broken"),
        (FORM, form(wav(), tail=""), 400, None, "breaks off"),
        (FORM, form(wav(), tail="\r\n--XX\r\n"), 400, None, "breaks off"),
        (FORM, b"--XX\r\nContent-Disposition" + b"x" * 10_000, 400, None, "broken"),
        (FORM, b"--XX--\r\n", 422, "file", "no field"),
        (FORM, form(wav(), 'name="audio"; filename="a.wav"'), 422, "audio", "unknown form field"),
        (FORM, form(wav(), 'filename="a.wav"'), 422, "", "unknown form field"),
        (FORM, form(b"talk.wav", 'name="file"'), 422, "file", "came as text"),
        (FORM, form(b"talk.wav", 'name="file"'), 422, "file", "@"),
        (FORM, form(b"talk.wav", 'name="file"\r\nContent-Type: text/plain'), 422, "file", "came as text"),
        (FORM, form(wav(), tail="\r\n") + form(wav()), 422, "file", "twice"),
        (FORM, form(b"2", 'name="track"', "\r\n") + form(wav()), 422, "track", "1 audio track"),
        (FORM, form(b"0", 'name="track"', "\r\n") + form(wav()), 422, "track", "from 1"),
        (FORM, form(b"two", 'name="track"', "\r\n") + form(wav()), 422, "track", "'two'"),
        (FORM, form(b"1" * 5_000, 'name="track"', "\r\n") + form(wav()), 422, "track", "no track"),
        (FORM, form(b"1", 'name="track"', "\r\n") * 2 + form(wav()), 422, "track", "twice"),
        (FORM, form(b"1", 'name="track"'), 422, "file", "no field"),
        (FORM, form(b""), 422, "file", "empty"),
        (FORM, form(b"these are words, and no audio"), 422, "file", "text"),
        (FORM, form(wav()[:30]), 422, "file", "damaged"),
    ],
)
async def test_a_bad_upload_says_what_is_wrong_and_leaves_nothing(
    *,
    client: httpx.AsyncClient,
    tmp_path: Path,
    content_type: Any,
    body: bytes,
    status: int,
    field: Any,
    says: str,
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await client.post("/v1/files", content=body, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error.get("field")) == (status, field), error
    assert says in error["message"]
    assert stored_files(tmp_path) == []


@pytest.mark.parametrize("first", [True, False])
async def test_a_track_is_named_before_or_after_the_file(client: httpx.AsyncClient, first: bool) -> None:
    tracks = [Sound(tone(hz, sample_rate=48_000, channels=channels)) for hz, channels in ((300, 1), (600, 2))]
    film = ("file", ("film.mkv", film_bytes("matroska", tracks)))
    track = ("track", (None, b"2"))
    parts: list[Any] = [track, film] if first else [film, track]
    record = (await client.post("/v1/files", files=parts)).json()
    assert (record["track"], record["channels"], record["offset"]) == (2, 2, 0.0)
    assert "Audio track 2 of 2 (aac) was taken: as requested." in record["notes"][0]


@pytest.mark.parametrize("sections", [{"limits": {"max_upload_bytes": 100_000}}])
async def test_too_large_an_upload_is_refused_by_its_length_or_while_it_comes(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        yield form(tail="")
        while True:
            sent += 10_000
            yield bytes(10_000)

    headers = {"content-type": FORM}
    by_length = await client.post("/v1/files", content=form(bytes(200_000)), headers=headers)
    absurd = headers | {"content-length": "9" * 5_000}
    by_absurd_length = await client.post("/v1/files", content=form(wav()), headers=absurd)
    while_it_comes = await client.post("/v1/files", content=endless(), headers=headers)
    for answer in (by_length, by_absurd_length, while_it_comes):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
        assert "100000" in answer.json()["error"]["message"]
    assert sent <= 200_000
    assert stored_files(tmp_path) == []


@pytest.mark.parametrize("sections", [{"limits": {"max_upload_bytes": len(wav(1))}}])
async def test_an_upload_may_be_as_large_as_the_limit(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/files", files={"file": ("a.wav", wav(1))})).status_code == 201


async def test_content_can_be_had_in_parts(client: httpx.AsyncClient, put: Any) -> None:
    content = bytes(range(256)) * 10
    url = f"/v1/artifacts/{put('a.bin', content).id}/content"
    for header, expected, stated in [
        ("bytes=0-9", content[:10], "bytes 0-9/2560"),
        ("bytes=2550-", content[2550:], "bytes 2550-2559/2560"),
        ("bytes=-5", content[-5:], "bytes 2555-2559/2560"),
        ("bytes=2500-9999", content[2500:], "bytes 2500-2559/2560"),
        ("bytes=-9999", content, "bytes 0-2559/2560"),
    ]:
        answer = await client.get(url, headers={"range": header})
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["content-range"] == stated
        assert answer.headers["content-length"] == str(len(expected))


@pytest.mark.parametrize("header", ["bytes=9-2", "bytes=a-b", "items=0-1", "bytes=0-1,4-5", "bytes=-", ""])
async def test_a_range_that_cannot_be_read_is_ignored(
    client: httpx.AsyncClient, put: Any, header: str
) -> None:
    url = f"/v1/artifacts/{put('a.bin', b'0123456789').id}/content"
    answer = await client.get(url, headers={"range": header})
    assert (answer.status_code, answer.content) == (200, b"0123456789")


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
async def test_a_range_beyond_the_end_is_refused(client: httpx.AsyncClient, put: Any, header: str) -> None:
    url = f"/v1/artifacts/{put('a.bin', b'0123456789').id}/content"
    answer = await client.get(url, headers={"range": header})
    assert (answer.status_code, answer.json()["error"]["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */10"


async def test_known_content_is_not_sent_again(client: httpx.AsyncClient, put: Any) -> None:
    artifact = put("a.bin", b"0123456789")
    url, etag = f"/v1/artifacts/{artifact.id}/content", f'"{artifact.sha256}"'
    assert (await client.get(url)).headers["etag"] == etag
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = await client.get(url, headers={"if-none-match": known})
        assert (answer.status_code, answer.content) == (304, b"")
    assert (await client.get(url, headers={"if-none-match": '"other"'})).status_code == 200
    part = {"range": "bytes=0-1"}
    assert (await client.get(url, headers=part | {"if-range": etag})).status_code == 206
    assert (await client.get(url, headers=part | {"if-range": '"other"'})).status_code == 200


async def test_head_tells_all_but_the_bytes(client: httpx.AsyncClient, put: Any) -> None:
    url = f"/v1/artifacts/{put('stem é.wav', b'0123456789').id}/content"
    head, got = await client.head(url), await client.get(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "content-disposition", "etag", "accept-ranges"):
        assert head.headers[name] == got.headers[name]
    assert got.headers["content-disposition"].endswith("filename*=UTF-8''stem%20%C3%A9.wav")


async def test_empty_content_can_be_had(client: httpx.AsyncClient, put: Any) -> None:
    url = f"/v1/artifacts/{put('empty.txt', b'', 'text/plain').id}/content"
    answer = await client.get(url)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await client.get(url, headers={"range": "bytes=0-"})).status_code == 416


def test_ranges_of_huge_numbers_are_no_trouble() -> None:
    assert parse_range(f"bytes=0-{'9' * 100}", 10) == (0, 10)
    assert parse_range(f"bytes=-{'9' * 100}", 10) == (0, 10)
    assert parse_range(f"bytes=0-{'9' * 5000}", 10) is None
    with pytest.raises(RangeNotSatisfiable):
        parse_range(f"bytes={'9' * 100}-", 10)
