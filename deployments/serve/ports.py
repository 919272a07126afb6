"""Finds free TCP ports."""

import contextlib
import itertools
import random
import socket

CANDIDATES = range(20_000, 30_000)
"""Below the ephemeral ports of systems and the ports of Ray's workers."""


def free_ports(count: int) -> list[int]:
    """Return different free ports of the loopback address, which no other program is likely to take."""
    shuffled = random.sample(CANDIDATES, len(CANDIDATES))
    return list(itertools.islice(filter(_is_free, shuffled), count))


def free_port() -> int:
    """Return a free port of the loopback address."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_server(("127.0.0.1", port)).close()
        return True
    return False
