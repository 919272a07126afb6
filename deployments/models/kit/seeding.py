"""Seeds torch's global random generators, for libraries that use no other."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_seeding = threading.Lock()


@contextmanager
def seeded(seed: int | None, device: "torch.device") -> Iterator[None]:
    """Seed torch's global generators for the block, and restore them afterwards.

    One block at a time runs in a process: two would draw from the same generators.

    Args:
        seed: a random one if None.
        device: if it is a GPU, its generator is seeded besides the CPU's, and no other GPU's.
    """
    import torch

    with _seeding, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(secrets.randbits(31) if seed is None else seed)
        yield
