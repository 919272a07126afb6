"""Ports that nobody listens on."""

import contextlib
import itertools
import random
import socket

QUIET = range(20_000, 30_000)
"""Below the ports that systems give to outgoing connections, and Ray to its workers."""


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback address, which nobody has, and nobody else is likely to be given."""
    shuffled = random.sample(QUIET, len(QUIET))
    return list(itertools.islice(filter(_is_free, shuffled), count))


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_server(("127.0.0.1", port)).close()
        return True
    return False
