"""Two runners on PostgreSQL: SIGKILL to one runner, to a model's replica and to Ray, and no job is lost."""

import pytest

from audiograph import Audiograph
from tests.support.durability import MixedJobs
from tests.support.server import Server

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_two_runners_on_postgresql_lose_nothing(guarded_server: Server, guest: Audiograph) -> None:
    jobs = MixedJobs(guarded_server, guest)
    jobs.wait(0.1)
    guarded_server.processes("ServeReplica:audiograph:runner")[0].kill()
    jobs.wait(0.3)
    guarded_server.kill("ServeReplica:audiograph:espeak")
    jobs.wait(0.5)
    guarded_server.kill_ray()
    guarded_server.start()
    jobs.check_all()
