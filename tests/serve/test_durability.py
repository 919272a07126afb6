"""SIGKILL to every kind of process while 200 jobs run: each job succeeds exactly once."""

import pytest

from audiograph import Audiograph
from tests.serve.conftest import MakeServer
from tests.support.durability import MixedJobs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_nothing_is_lost_when_everything_is_killed_on_sqlite(make_server: MakeServer) -> None:
    server = make_server(jobs={"dead_after_seconds": 3.0}).start()
    with Audiograph(server.url) as client:
        jobs = MixedJobs(server, client)
        jobs.wait(0.05)
        server.kill("ServeReplica:audiograph:runner")
        jobs.wait(0.25)
        server.kill("ServeReplica:audiograph:espeak")
        server.kill("ServeReplica:audiograph:whisper")
        jobs.wait(0.45)
        server.kill("ServeReplica:audiograph:ingress")
        jobs.wait(0.65)
        server.kill_everything()
        server.start()
        jobs.check_all()
