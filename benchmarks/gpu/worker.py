"""Takes the waiting measurements of a run, one after the other: ``python -m benchmarks.gpu.worker FOLDER``.

The supervisor starts it, and starts it again for the rest if it dies or hangs.
"""

import gc
import importlib
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.journal import Journal
from benchmarks.gpu.plain_numba import stand_in_for_numba
from benchmarks.gpu.setting import Result, Setting, Skip, current_device, wait_for

BROKEN_DEVICE = 3
"""Exit code: the device answers no more, as after an illegal access; only a new process can use it."""
Measure = Callable[..., Iterator[Result]]


def work(journal: Journal, device: str) -> None:
    """Take all waiting measurements.

    Raises:
        SystemExit: the device cannot be used any more, with `BROKEN_DEVICE`.
    """
    stand_in_for_numba()
    journal.content["machine"] = machine(device)
    journal.write()
    print(*(f"{key}: {value}" for key, value in journal.content["machine"].items()), sep=", ", flush=True)
    with tempfile.TemporaryDirectory(prefix="audiograph-gpu-") as folder:
        setting = Setting(device, bool(journal.content["tiny"]), Path(folder))
        for entry in journal.entries("waiting"):
            if not (setting.on_gpu or setting.tiny):
                _end(journal, entry, "failed", "PyTorch sees no GPU here; --tiny runs without one")
            elif entry["expected_seconds"] > journal.seconds_left:
                left = f"{max(0, journal.seconds_left):.0f} s are left"
                _end(journal, entry, "skipped", f"it takes about {entry['expected_seconds']:g} s, and {left}")
            else:
                _take(journal, entry, setting)


def machine(device: str) -> dict[str, Any]:
    """Describe the device and the versions."""
    packages = ("transformers", "numpy", "openai-whisper", "demucs", "numba", "scipy")
    facts: dict[str, Any] = {
        "device": device,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        facts |= {"gpu": gpu.name, "memory_bytes": gpu.total_memory, "cuda": str(torch.version.cuda)}
    return facts | {name: _version(name) for name in packages}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _take(journal: Journal, entry: dict[str, Any], setting: Setting) -> None:
    print(f"{entry['name']} …", flush=True)
    journal.begin(entry)
    try:
        for result in _results(entry, setting):
            journal.add(entry, result)
            print(f"  {line(result)}", flush=True)
    except Skip as reason:
        _end(journal, entry, "skipped", str(reason))
    except Exception as error:
        entry["traceback"] = traceback.format_exc()
        _end(journal, entry, "failed", f"{type(error).__name__}: {error}")
    else:
        journal.end(entry, "measured")
    _free(setting.device)


def _results(entry: dict[str, Any], setting: Setting) -> Iterator[Result]:
    module, _, name = entry["function"].partition(":")
    measure: Measure = getattr(importlib.import_module(module), name)
    return measure(setting) if entry["argument"] is None else measure(setting, entry["argument"])


def _end(journal: Journal, entry: dict[str, Any], state: Any, reason: str) -> None:
    print(f"  {entry['name']} {state}: {reason}", flush=True)
    journal.end(entry, state, reason)


def _free(device: str) -> None:
    """Free the last measurement's memory; the next one must not find it full."""
    gc.collect()
    try:
        wait_for(device)
        if device == "cuda":
            torch.cuda.empty_cache()
    except RuntimeError as error:
        print(f"the device cannot be used any more: {error}", flush=True)
        sys.exit(BROKEN_DEVICE)


def line(result: Result) -> str:
    """Format a result in one line."""
    if "per_second" in result:
        return f"{result['title']}: {result['per_second']:.4g} {result['unit']} per second"
    figures = (f"{key} {_short(value)}" for key, value in result.items() if key != "title")
    return f"{result['title']}: {', '.join(figures)}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Work in the folder that the command line names."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    work(Journal.open(Path(sys.argv[1])), current_device())


if __name__ == "__main__":
    main()
