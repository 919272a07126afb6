"""The checks of the GPU's results fail when the results are wrong."""

import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import families, memory, music, plain_numba
from benchmarks.gpu.setting import CheckFailed, Setting
from deployments.models.whisper.decoder import Decoder


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting("cpu", True, tmp_path)


def test_numbers_may_deviate_by_the_precisions_rounding() -> None:
    expected = torch.tensor([1.0, -2.0, 0.5])
    result = families._compared("x", expected + 0.01, expected, rounding=2.0**-7)
    assert result["deviation"] == pytest.approx(0.005)


@pytest.mark.parametrize("wrong", [[1.2, -2.0, 0.5], [float("nan"), -2.0, 0.5], [1.0, -2.0]])
def test_numbers_that_deviate_more_fail(wrong: list[float]) -> None:
    with pytest.raises(CheckFailed):
        families._compared("x", torch.tensor(wrong), torch.tensor([1.0, -2.0, 0.5]), rounding=2.0**-7)


def test_tokens_that_differ_are_counted_and_the_first_frame_is_named() -> None:
    codes = torch.zeros(4, 10, dtype=torch.long)
    other = codes.clone()
    other[2, 7:] = 1
    result = music._compared("x", [codes, codes], [codes, other])
    assert (result["tokens"], result["different"], result["first_different_frame"]) == (80, 3, 7)


def test_tokens_that_differ_fail_the_check_once_all_are_compared(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_codes, calls = music._codes, iter(range(100))

    def codes(*args: object) -> list[torch.Tensor]:
        return [each + next(calls) for each in true_codes(*args)]  # type: ignore[arg-type]

    monkeypatch.setattr(music, "_codes", codes)
    results = []
    with pytest.raises(CheckFailed, match="greedy tokens, CUDA graphs against plain steps"):
        for result in music.check_graphs(setting):
            results.append(result)
    assert len(results) == 4


def test_a_request_that_is_not_refused_fails_the_check(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_fill", lambda size, device: None)
    with pytest.raises(CheckFailed, match="a request beyond the limit was not refused"):
        list(memory.check_limits(setting))


class LimitedGpu:
    """A GPU's memory, of which this process may use 1000 bytes."""

    device = "cpu"  # of the tensors; that its limit is a GPU's is known to the setting
    limit: int | None = 1000

    def used(self) -> int:
        return 100

    def settle(self) -> int:
        return 100


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Return the setting of a GPU that refuses more than its limit, and reports all that was taken."""

    def fill(size: int, device: str) -> None:
        if size > 1000:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")

    monkeypatch.setattr(memory, "_fill", fill)
    monkeypatch.setattr(memory, "device_memory", lambda config: LimitedGpu())
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 600)
    return Setting("cuda", False, tmp_path)


def test_on_a_gpu_the_refusals_and_the_peak_are_results(gpu: Setting) -> None:
    request, variant, peak = memory.check_limits(gpu)
    assert "needs 1.172 KiB on the cpu, which uses 100 bytes of at most 1000 bytes" in request["error"]
    assert "raise models.model.memory_bytes" in variant["error"]
    assert (peak["bytes"], peak["limit_bytes"]) == (600, 1000)


def test_more_memory_than_the_limit_fails_the_check(gpu: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 1001)
    with pytest.raises(CheckFailed, match="reserved 1001 bytes; the limit is 1000"):
        list(memory.check_limits(gpu))


def test_windows_that_do_not_fit_together_are_transcribed_in_halves(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve, sizes = Decoder._reserve, list[int]()

    def limited(decoder: Decoder, rows: int) -> None:
        sizes.append(rows)
        if rows > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")
        reserve(decoder, rows)

    monkeypatch.setattr(Decoder, "_reserve", limited)
    (result,) = memory.check_halving(setting)
    assert "all are transcribed" in result["title"]
    assert max(sizes) == 3


def test_without_numba_its_functions_run_as_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    plain_numba.stand_in_for_numba()
    stand_in = sys.modules.pop("numba")
    assert stand_in.jit(nopython=True, parallel=True)(len) is len


def test_an_installed_numba_is_kept() -> None:
    plain_numba.stand_in_for_numba()
    import numba

    assert numba.__version__
