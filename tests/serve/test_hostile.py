"""Malformed and hostile uploads over the wire: each is told what is wrong, and the server goes on."""

import pytest

from audiograph import Audiograph
from audiograph.errors import RequestError
from tests.hostile import HOSTILE, HostileFile
from tests.serve.conftest import Server
from tests.sounds import wav_bytes

pytestmark = pytest.mark.cluster

REFUSED = {key: file for key, file in HOSTILE.items() if file.stored_name is None}
RENAMED = {key: file for key, file in HOSTILE.items() if file.stored_name is not None}
GOOD = wav_bytes()


@pytest.fixture(autouse=True)
def goes_on(server: Server, client: Audiograph) -> None:
    """Nothing to prepare: that the server stands is seen after the test, by the same process answering."""


def ingress_process(server: Server) -> int:
    (process,) = server.processes("ServeReplica:audiograph:ingress")
    return process.pid


@pytest.mark.parametrize("file", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_the_reason(client: Audiograph, file: HostileFile) -> None:
    with pytest.raises(RequestError) as caught:
        client.files.upload(file.read(), name=file.name)
    assert caught.value.status == file.expected_status
    message = str(caught.value).lower()
    assert [word for word in file.expected_words if word.lower() not in message] == []
