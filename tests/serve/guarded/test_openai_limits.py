"""OpenAI's own client with API keys, too many concurrent requests, and a response beyond the time limit."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest
from openai import OpenAI

from audiograph import Audiograph
from tests.serve.guarded.conftest import LIMITS
from tests.support.keys import keys
from tests.support.server import Server

pytestmark = pytest.mark.cluster

TWO_SENTENCES = "One sentence. And another one."


@pytest.fixture(scope="module")
def official(guarded_server: Server) -> Iterator[OpenAI]:
    """OpenAI's own client of the guarded server, with its default retries."""
    key = keys(guarded_server.config, "create", "openai")
    with OpenAI(base_url=f"{guarded_server.url}/v1", api_key=key, timeout=120) as client:
        yield client


def test_a_key_is_needed(official: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        official.with_options(api_key="x").audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
    assert (caught.value.code, caught.value.param) == ("invalid_api_key", None)
    assert official.audio.speech.create(model="tts-1", voice="alloy", input="Hello.").content


def test_direct_responses_have_limits(official: OpenAI, guest: Audiograph) -> None:
    guest.models.load("mock")
    with ThreadPoolExecutor(2) as threads:
        slow = [threads.submit(time_limit_error, official, text) for text in ("One.", "Another one.")]
        while ongoing(guest, "mock") < 2 and not any(request.done() for request in slow):
            time.sleep(0.1)  # both slots are taken
        without_retries = official.with_options(max_retries=0)
        with pytest.raises(openai.RateLimitError) as caught:
            while not all(request.done() for request in slow):
                without_retries.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        assert [request.result() for request in slow] == ["time_limit_exceeded"] * 2
    assert official.audio.speech.create(model="tts-1", voice="alloy", input="Hello.").content


def test_a_response_beyond_the_time_limit_is_cut_off(official: OpenAI, guest: Audiograph) -> None:
    guest.models.load("mumbler")
    assert received_bytes(official) > 10_000


def ongoing(guest: Audiograph, model: str) -> int:
    """Return the number of requests that a model's replicas are running."""
    return sum(replica.ongoing for replica in guest.models.get(model).replicas)


def received_bytes(official: OpenAI) -> int:
    """Return the number of bytes of a response that the server cuts off by closing the connection."""
    received = 0
    with (
        official.audio.speech.with_streaming_response.create(
            model="mumbler", voice="alloy", input=TWO_SENTENCES, response_format="pcm"
        ) as response,
        pytest.raises(httpx2.RemoteProtocolError),
    ):
        for chunk in response.iter_bytes():
            received += len(chunk)
    return received


def time_limit_error(official: OpenAI, text: str) -> str | None:
    """Return the error code of a request beyond the time limit, which the client must not retry."""
    with pytest.raises(openai.InternalServerError) as caught:
        official.audio.speech.create(model="mock", voice="alloy", input=text)
    request = caught.value.response.request
    assert request.headers["x-stainless-retry-count"] == "0"
    assert f"{LIMITS['max_direct_seconds']} s" in caught.value.message
    return caught.value.code
