"""Tiny checkpoints of Demucs: of the real classes, loaded by demucs itself, and reproducible."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from demucs.demucs import Demucs as Waveform
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from demucs.pretrained import REMOTE_ROOT, _parse_remote_files, get_model
from demucs.states import load_model

from deployments.models.demucs.model import FOUR_STEMS, SIX_STEMS, Demucs
from deployments.models.demucs.tiny import _build_model, _serialize, build_repository
from deployments.models.demucs.weights import signatures

CLASSES: dict[str, list[type]] = {
    "htdemucs": [HTDemucs],
    "htdemucs_ft": [HTDemucs] * 4,
    "htdemucs_6s": [HTDemucs],
    **dict.fromkeys(["mdx", "mdx_extra", "mdx_q", "mdx_extra_q"], [Waveform, HDemucs] * 2),
}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of a folder's files by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_variant_of_the_model_has_one() -> None:
    assert set(CLASSES) == set(Demucs.variants)


@pytest.mark.parametrize("variant", CLASSES)
def test_demucs_loads_it_and_it_separates(variant: str, tmp_path: Path) -> None:
    bag = get_model(variant, build_repository(variant, tmp_path))
    assert [type(model) for model in bag.models] == CLASSES[variant]
    assert tuple(bag.sources) == (SIX_STEMS if variant == "htdemucs_6s" else FOUR_STEMS)
    assert bag.samplerate == 44_100
    with torch.inference_mode():
        stems = bag.models[0](0.1 * torch.randn(1, 2, 20_000))
    assert stems.shape == (1, len(bag.sources), 2, 20_000)
    assert stems.isfinite().all()
    assert (stems.std(dim=(0, 2, 3)) > 1e-4).all()


def test_segments_are_those_of_the_published_models(tmp_path: Path) -> None:
    transformer, bag = (get_model(v, build_repository(v, tmp_path)) for v in ("htdemucs", "mdx_extra"))
    assert transformer.max_allowed_segment == 7.8
    assert {model.segment for model in bag.models} == {44}


def test_checkpoints_go_by_the_published_signatures(tmp_path: Path) -> None:
    published = _parse_remote_files(REMOTE_ROOT / "files.txt")
    names = [path.name for path in build_repository("htdemucs_ft", tmp_path).glob("*.th")]
    assert {name.partition("-")[0] for name in names} == set(signatures("htdemucs_ft")) <= set(published)


def test_packaging_is_what_demucs_reads(tmp_path: Path) -> None:
    path = tmp_path / "model.th"
    path.write_bytes(_serialize(_build_model("htdemucs", 0)))
    assert isinstance(load_model(path), HTDemucs)


def test_the_same_checkpoints_are_built_anywhere_and_only_once(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = build_repository("mdx", tmp_path / "a")
    written = first.stat().st_mtime_ns
    torch.manual_seed(2)
    second = build_repository("mdx", tmp_path / "b")
    assert contents(first) == contents(second)
    assert build_repository("mdx", tmp_path / "a").stat().st_mtime_ns == written


def test_replicas_may_build_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: build_repository("mdx", tmp_path), range(4)))
    assert set(folders) == set(tmp_path.iterdir())  # one folder, and no leftovers of the other builds
    assert len(contents(folders[0])) == 5
    get_model("mdx", folders[0])
