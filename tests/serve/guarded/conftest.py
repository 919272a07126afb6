"""A server with API keys, with two runners on PostgreSQL, and with the model that README.md shows.

Its replicas come and go. Three of its models are of one class and say which version of a library they have:
one in the server's own environment, one in that of Chatterbox, and one in an environment that is not there.
"""

import signal
from collections.abc import Iterator

import pytest

from audiograph import Audiograph
from tests.conftest import postgres_database
from tests.serve.conftest import Server
from tests.support.keys import keys
from tests.support.readme import added_model

NIMBLE = {
    "max_replicas": 2,
    "target_ongoing_requests": 2,
    "upscale_delay_s": 1,
    "downscale_delay_s": 2,
    "downscale_to_zero_delay_s": 4,
    "look_back_period_s": 2,
    "metrics_interval_s": 1,
}
"""Replicas come and go within seconds, where a test waits for it."""

VERSIONS = {
    "class": "tests.support.versions:Versions",
    "deployment": {"ray_actor_options": {"num_cpus": 0.05}},
}

SLOW = {"load_seconds": 0, "speak_seconds": 300}
"""A mock that is busy for as long as anybody wants to look, and costs nothing."""

LIMITS = {"max_direct": 2, "max_direct_seconds": 15}
"""For answers that are made without a job."""

MUMBLER = {
    "class": "deployments.models.mock:Mock",
    "options": {"load_seconds": 0, "speak_seconds": 9},
    "deployment": {"ray_actor_options": {"num_cpus": 0.05}},
}
"""Says one sentence within the time limit, and not a second one."""


@pytest.fixture(scope="package")
def guarded_server(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[Server]:
    """A second server; see above."""
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
        "mock": {"options": SLOW, "deployment": {"autoscaling_config": NIMBLE}},
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
