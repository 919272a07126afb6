"""Runs the server on this machine, in the foreground: ``python -m deployments.serve serve_config.yaml``.

Each start has a Ray of its own, which ends with it. These processes hold no state that matters: unfinished
jobs continue at the next start. In a cluster, KubeRay starts the application instead (k8s/).
"""

import importlib
import logging
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer

from deployments.config import MIB
from deployments.serve import haproxy, processes
from deployments.serve.file import Application, ServeFile, ServeFileError, load_file

ROOT = Path(__file__).resolve().parents[2]
PORT_SECONDS = 5.0
START_SECONDS = 120.0
WATCH_SECONDS = 2.0
SILENT_SECONDS = 30.0
OBJECT_STORE_BYTES = 256 * MIB
"""Ray's shared memory may be small, since audio goes through storage and not through Ray."""


class ServerDown(Exception):
    """The server did not start, or died."""


def main(
    config: Annotated[Path, typer.Argument(help="A file like serve_config.yaml.")],
    host: Annotated[str | None, typer.Option(help="Listen here instead of http_options.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Listen here instead of http_options.port.")] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Start Ray's dashboard as well.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every process's log here.")] = False,
) -> None:
    """Start Audiograph and serve until Ctrl-C."""
    try:
        file = load_file(config).with_address(host, port)
        file.check_exposure()
        wait_for_port(file.http_options.host, file.http_options.port)
        with tempfile.TemporaryDirectory(prefix="audiograph-", dir="/tmp") as folder:
            os.environ.update(_environment(Path(folder)))
            _run(file, dashboard=dashboard, verbose=verbose)
    except (ServeFileError, ServerDown) as error:
        sys.exit(f"audiograph: {error}")


def wait_for_port(host: str, port: int) -> None:
    """Wait until an address is free: the previous server may still be stopping.

    Raises:
        ServeFileError: another process keeps listening there, or the address is not this machine's.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while (problem := _cannot_listen(host, port)) is not None:
        if time.monotonic() > deadline:
            raise ServeFileError(
                f"cannot listen at {host}:{port}: {problem}; stop the process there, or pass --port"
            )
        time.sleep(0.2)


def _cannot_listen(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _environment(folder: Path) -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "clients"), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray's default of 15 lets any other program starve the server
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",  # at Serve's 0.1, polls take a tenth of a core
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",  # Prometheus scrapes no more often
        "RAY_AUTH_MODE": "token",  # Ray's ports are open to the network; each requires the token
        **haproxy.environment(folder),
    }


def _run(file: ServeFile, *, dashboard: bool, verbose: bool) -> None:
    import ray  # noqa: PLC0415 - reads the environment that was just set

    logging.disable(logging.NOTSET if verbose else logging.INFO)
    processes.adopt_orphans()
    bound = _bind(file.application)
    try:
        _print("starting Ray …")
        logs = _start_ray(dashboard=dashboard, verbose=verbose)
        _print(f"starting the application; its logs are in {logs}")
        _deploy(file, bound)
        _wait_until_served(file.url)
        _print(f"ready at {file.url}, documentation at {file.url}/docs; Ctrl-C ends it")
        _watch(file.url)
    except KeyboardInterrupt:
        _print("stopping; unfinished jobs continue at the next start")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave processes behind
        if processes.ray_is_alive():
            ray.shutdown()
        processes.end_all()


def _start_ray(*, dashboard: bool, verbose: bool) -> Path:
    """Start a Ray of our own, and return the folder of Serve's logs."""
    import ray  # noqa: PLC0415

    context = ray.init(
        address="local",
        num_cpus=max(2, os.cpu_count() or 1),  # the fractions in serve_config.yaml assume two
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=dashboard,
        log_to_driver=verbose,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray has set its own, which exits at once
    # Ray's own hook first notifies the rest of Ray, which takes a minute if that is dead.
    sys.excepthook = sys.__excepthook__
    return Path(context.address_info["session_dir"]) / "logs" / "serve"


def _bind(application: Application) -> Any:
    """Build the application, before Ray starts, so that its errors show at once.

    Raises:
        ServeFileError: an error that only the application can find, such as a variant that no model has.
    """
    module, _, name = application.import_path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(application.args)
    except ValueError as error:
        raise ServeFileError(f"applications[0].args: {error}") from error


def _deploy(file: ServeFile, bound: Any) -> None:
    from ray import serve  # noqa: PLC0415

    application = file.application
    logging_config = file.logging_config.model_dump()  # for Serve's own processes and for the replicas
    serve.start(
        proxy_location=file.proxy_location,
        http_options=file.http_options.model_dump(),
        logging_config=logging_config,
    )
    try:
        serve.run(
            bound,
            name=application.name,
            route_prefix=application.route_prefix,
            logging_config=logging_config,
        )
    except RuntimeError as error:  # a deployment's constructor failed repeatedly
        raise ServerDown(f"the application did not start: {error}\n{_causes(application.name)}") from error


def _causes(name: str) -> str:
    """Return the last line of each deployment's error; the logs have the rest."""
    from ray import serve  # noqa: PLC0415

    deployments = serve.status().applications[name].deployments
    messages = {title: overview.message.strip().splitlines() for title, overview in deployments.items()}
    return "\n".join(f"  {title}: {lines[-1]}" for title, lines in messages.items() if lines)


def _wait_until_served(url: str) -> None:
    """Wait until the proxy routes to the application."""
    deadline = time.monotonic() + START_SECONDS
    while not _answers(f"{url}/health"):
        if time.monotonic() > deadline:
            raise ServerDown(f"{url}/health did not answer within {START_SECONDS:.0f} s; try --verbose")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _watch(url: str) -> None:
    """Watch the server for ever.

    Raises:
        ServerDown: Ray was killed, or the server has not answered for `SILENT_SECONDS`.
    """
    answered_at = time.monotonic()
    while time.monotonic() - answered_at < SILENT_SECONDS:
        time.sleep(WATCH_SECONDS)
        if not processes.ray_is_alive():
            raise ServerDown("Ray was killed; unfinished jobs continue at the next start")
        if _answers(f"{url}/-/healthz"):  # the proxy's own page reports whether an ingress is up
            answered_at = time.monotonic()
    raise ServerDown(f"{url} has not answered for {SILENT_SECONDS:.0f} s")


def _print(text: str) -> None:
    print(f"audiograph: {text}", flush=True)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
