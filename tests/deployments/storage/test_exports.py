"""Files of the exports folder: valid paths, and atomic writes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audiograph.errors import Conflict, InvalidRequest
from deployments.storage.exports import resolve_export
from deployments.storage.safe_paths import is_safe_relative, relative_to, resolve_below
from tests.support.hostile import PATH_TRICKS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (folder / "out").symlink_to(tmp_path)
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "note").write_text("a file")
    (folder / "dir.wav").mkdir()
    return folder


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.mark.parametrize("ending", ["wav", "mp3", "flac", "opus", "aac", "WAV"])
def test_a_file_is_written_and_its_ending_chooses_the_format(folder: Path, ending: str) -> None:
    target = resolve_export(folder, f"a new/one.{ending}", "path")
    target.write([b"ab", b"c"])
    assert (folder / "a new" / f"one.{ending}").read_bytes() == b"abc"
    assert target.format == ending.lower()


def test_an_absolute_path_inside_is_as_good_as_a_relative_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(folder)
    for start in (folder, tmp_path / "alias"):
        assert resolve_export(tmp_path / "alias", str(start / "a" / "b.wav"), "path").path in (
            folder / "a" / "b.wav",
            tmp_path / "alias" / "a" / "b.wav",
        )
    assert relative_to(folder, "/elsewhere/a.wav") == "/elsewhere/a.wav"


@pytest.mark.parametrize("ending", ["", ".wav"])
@pytest.mark.parametrize("trick", PATH_TRICKS)
def test_no_path_leads_out(folder: Path, tmp_path: Path, trick: str, ending: str) -> None:
    before = files(tmp_path)
    for path in (trick + ending, str(folder / trick) + ending):
        with pytest.raises(InvalidRequest, match=r"no path inside the exports folder|must end in"):
            resolve_export(folder, path, "path").write([b"x"])
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("out/new.wav", "no path inside"),
        ("link.wav", "no path inside"),
        ("circle/a.wav", "no path inside"),
        (".hidden.wav", "no path inside"),
        ("a/.b/c.wav", "no path inside"),
        ("a//b.wav", "no path inside"),
        ("", "no path inside"),
        ("n" * 252 + ".wav", "no path inside"),
        ("a/" * 600 + "b.wav", "no path inside"),
        ("é" * 126 + ".wav", "no path inside"),
        ("a.ogg", r"must end in one of \.wav, \.mp3, \.flac, \.opus, \.aac"),
        ("wav", "must end in"),
        ("dir.wav", "is a folder"),
        ("note/a.wav", "has a file where a folder should be"),
    ],
)
def test_what_can_be_no_file_of_the_folder_is_refused(folder: Path, path: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refused:
        resolve_export(folder, path, "output_filepath")
    assert refused.value.field == "output_filepath"
    assert refused.value.message.startswith("output_filepath ")


def test_many_may_write_one_file_and_one_of_them_is_left_whole(folder: Path) -> None:
    target = resolve_export(folder, "a/b/one.wav", "path")
    contents = [bytes([number]) * 300_000 for number in range(16)]

    def blocks(content: bytes) -> Iterator[bytes]:
        yield from (content[start : start + 10_000] for start in range(0, len(content), 10_000))

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(target.write, blocks(content)) for content in contents]:
            done.result()
    assert target.path.read_bytes() in contents
    assert list(target.path.parent.iterdir()) == [target.path]


def test_what_breaks_off_leaves_what_was_there(folder: Path) -> None:
    target = resolve_export(folder, "one.wav", "path")
    target.write([b"old"])

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        target.write(broken())
    assert target.path.read_bytes() == b"old"
    assert not list(folder.glob(".*"))


def test_a_link_that_comes_later_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    target = resolve_export(folder, "later/one.wav", "path")
    other = resolve_export(folder, "dir/one.wav", "path")
    (folder / "later").symlink_to(tmp_path)
    (folder / "dir").write_text("a file")
    for late in (target, other):
        with pytest.raises(Conflict, match="cannot be written"):
            late.write([b"x"])
    assert not (tmp_path / "one.wav").exists()


def test_plain_paths_may_have_any_letters() -> None:
    for path in ("anna.wav", "Zoë/naïve café #1 (take 2).flac", "日本語/声.wav", "a-b_c+d,e&f'g.wav"):
        assert is_safe_relative(path), path


def test_links_that_stay_inside_are_followed(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "alias").symlink_to(folder / "real")
    assert resolve_below(folder, "alias/a.wav") == folder / "real" / "a.wav"
