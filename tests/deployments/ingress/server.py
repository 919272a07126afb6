"""The ingress in a process of its own, so that its memory can be measured: ``python server.py FOLDER``."""

import socket
import sys
from pathlib import Path

import uvicorn

from deployments.ingress.app import create_app
from tests.deployments.ingress.conftest import app_config, make_backend


def main() -> None:
    """Serve until killed; the port is the first line of stdout."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_app(make_backend(app_config(Path(sys.argv[1]))))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_config=None)).run([listening])


if __name__ == "__main__":
    main()
