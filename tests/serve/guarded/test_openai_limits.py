"""What OpenAI's own client makes of keys, too many requests at a time, and answers that take too long."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest
from openai import OpenAI

from audiograph import Audiograph
from tests.serve.conftest import Server
from tests.serve.guarded.conftest import LIMITS
from tests.support.keys import keys

pytestmark = pytest.mark.cluster

BOTH = "One sentence. And another one."


@pytest.fixture(scope="module")
def official(guarded_server: Server) -> Iterator[OpenAI]:
    key = keys(guarded_server.config, "create", "openai")
    with OpenAI(base_url=f"{guarded_server.url}/v1", api_key=key, timeout=120) as client:
        yield client


def test_a_key_is_needed(official: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        official.with_options(api_key="x").audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
    assert (caught.value.code, caught.value.param) == ("invalid_api_key", None)
    assert official.audio.speech.create(model="tts-1", voice="alloy", input="Hello.").content


def test_answers_have_limits(official: OpenAI, guest: Audiograph) -> None:
    guest.models.load("mock")
    with ThreadPoolExecutor(2) as threads:
        slow = [threads.submit(too_slow, official, text) for text in ("One.", "Another one.")]
        while ongoing(guest, "mock") < 2 and not any(one.done() for one in slow):
            time.sleep(0.1)  # both places are taken
        impatient = official.with_options(max_retries=0)
        with pytest.raises(openai.RateLimitError) as caught:
            while not all(one.done() for one in slow):
                impatient.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        assert [one.result() for one in slow] == ["time_limit_exceeded"] * 2
    assert official.audio.speech.create(model="tts-1", voice="alloy", input="Hello.").content


def test_an_answer_that_takes_too_long_breaks_off(official: OpenAI, guest: Audiograph) -> None:
    guest.models.load("mumbler")
    assert broken_off(official) > 10_000


def ongoing(guest: Audiograph, model: str) -> int:
    return sum(replica.ongoing for replica in guest.models.get(model).replicas)


def broken_off(official: OpenAI) -> int:
    """The bytes of the first sentence; that there are no more is told by the connection."""
    received = 0
    with (
        official.audio.speech.with_streaming_response.create(
            model="mumbler", voice="alloy", input=BOTH, response_format="pcm"
        ) as answer,
        pytest.raises(httpx2.RemoteProtocolError),
    ):
        for chunk in answer.iter_bytes():
            received += len(chunk)
    return received


def too_slow(official: OpenAI, text: str) -> str | None:
    """The code of the refusal, which the client does not answer by asking again."""
    with pytest.raises(openai.InternalServerError) as caught:
        official.audio.speech.create(model="mock", voice="alloy", input=text)
    request = caught.value.response.request
    assert request.headers["x-stainless-retry-count"] == "0"
    assert f"{LIMITS['max_direct_seconds']} s" in caught.value.message
    return caught.value.code
