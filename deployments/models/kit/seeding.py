"""Torch's own random generators at a seed, for libraries that draw from no other."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_seeding = threading.Lock()


@contextmanager
def seeded(seed: int | None, device: Any) -> Iterator[None]:
    """Torch's global generators with a seed, and then as they were.

    One at a time in a process, since two would draw from each other's.

    Args:
        seed: a random one if None.
        device: a `torch.device`; of GPUs, the generator of this one alone is set.
    """
    import torch

    with _seeding, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(secrets.randbits(31) if seed is None else seed)
        yield
