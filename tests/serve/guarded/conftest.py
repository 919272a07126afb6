"""A server with API keys, two runners on PostgreSQL, and the model that README.md adds.

Its mock model is autoscaled. Three of its models are of one class and report the version of a library: one in
the server's own environment, one in that of Chatterbox, and one in an environment that does not exist.
"""

import signal
from collections.abc import Iterator

import pytest

from audiograph import Audiograph
from tests.conftest import postgres_database
from tests.support.keys import keys
from tests.support.readme import added_model
from tests.support.server import Server

FAST_AUTOSCALING = {
    "max_replicas": 2,
    "target_ongoing_requests": 2,
    "upscale_delay_s": 1,
    "downscale_delay_s": 2,
    "downscale_to_zero_delay_s": 4,
    "look_back_period_s": 2,
    "metrics_interval_s": 1,
}
"""Starts and stops replicas within seconds, so that a test can wait for it."""

VERSIONS = {
    "class": "tests.support.versions:Versions",
    "deployment": {"ray_actor_options": {"num_cpus": 0.05}},
}

SLOW = {"load_seconds": 0, "speak_seconds": 300}
"""Options of a mock whose runs outlast any test, at no cost."""

LIMITS = {"max_direct": 2, "max_direct_seconds": 15}
"""Limits of direct responses."""

MUMBLER = {
    "class": "deployments.models.mock:Mock",
    "options": {"load_seconds": 0, "speak_seconds": 9},
    "deployment": {"ray_actor_options": {"num_cpus": 0.05}},
}
"""A mock that speaks one sentence within the time limit, and a second one beyond it."""


@pytest.fixture(scope="package")
def guarded_server(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[Server]:
    """The server of this folder; see above."""
    folder = tmp_path_factory.mktemp("guarded")
    source, entry = added_model()
    added = folder / "added"
    for model in entry.values():
        module = model["class"].partition(":")[0]
        path = added.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True)
        path.write_text(source)
    models = {
        **entry,
        "mock": {"options": SLOW, "deployment": {"autoscaling_config": FAST_AUTOSCALING}},
        "versions": VERSIONS,
        "versions-apart": {**VERSIONS, "environment": "chatterbox"},
        "versions-nowhere": {**VERSIONS, "environment": "nowhere"},
        "mumbler": MUMBLER,
    }
    with postgres_database(postgres_server) as database:
        args = {
            "auth": {"required": True},
            "models": models,
            "http": LIMITS,
            "storage": {"database_url": database},
            "jobs": {"runners": 2, "dead_after_seconds": 3.0},
        }
        server = Server(folder / "server", args, python_path=(added,)).start()
        yield server
        server.stop(signal.SIGINT)


@pytest.fixture(scope="package")
def guest(guarded_server: Server) -> Iterator[Audiograph]:
    """A client of the guarded server, with a key."""
    with Audiograph(guarded_server.url, api_key=keys(guarded_server.config, "create", "guest")) as client:
        yield client
