"""The turns of a request are spoken side by side, and each error names its turn."""

import threading

import pytest

from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, Turn
from deployments.models.base import Output
from deployments.models.kokoro.engine import Engine
from deployments.models.kokoro.model import Kokoro
from tests.deployments.models.fakes import FakeContext
from tests.deployments.models.kokoro.conftest import SlowSession


def dialogue(*texts: str) -> DialogueRequest:
    return DialogueRequest(turns=[Turn(text=text) for text in texts], word_timestamps=True)


def test_short_turns_are_spoken_side_by_side(model: Kokoro, slow: tuple[Engine, SlowSession]) -> None:
    engine, session = slow
    outputs: list[Output] = []
    request = dialogue("Yes.", "No.", "Well.")
    run = threading.Thread(target=lambda: outputs.append(model.run(engine, request, FakeContext())))
    run.start()
    while len(session.started) < 2:  # none may end before
        assert run.is_alive()
    session.allowed.release(3)
    run.join()
    assert len(outputs) == 1


def test_an_error_of_a_later_turn_cancels_the_turns_before(
    model: Kokoro, slow: tuple[Engine, SlowSession]
) -> None:
    engine, session = slow
    with pytest.raises(InvalidRequest) as caught:
        model.run(engine, dialogue("Yes.", "\N{MODIFIER LETTER TURNED COMMA}"), FakeContext())
    assert caught.value.field == "turns.1.text"
    engine.close()
    assert session.canceled == len(session.started) <= 1


def test_progress_rises_over_the_turns(model: Kokoro, engine: Engine) -> None:
    context = FakeContext()
    model.run(engine, dialogue("Yes. No.", "Well."), context)
    assert context.fractions == [0, 0.25, 0.5, 1]
    assert context.stages == ["speaking"]
