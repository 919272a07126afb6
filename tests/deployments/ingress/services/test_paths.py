"""Voices come from the voices folder and from uploads alone, and files go to the exports folder alone."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import soundfile

from deployments.ingress.backend import Backend
from tests.deployments.ingress.services.conftest import (
    RATE,
    SECONDS,
    TURNS,
    Runner,
    converse,
    say,
    written,
)
from tests.support.hostile import PATH_TRICKS
from tests.support.sounds import speech_like, wav_bytes


async def test_a_voice_is_a_path_in_the_folder_or_an_upload(
    client: httpx.AsyncClient, runner: Runner, backend: Backend, tmp_path: Path
) -> None:
    recording = wav_bytes(speech_like(seconds=2.0), sample_rate=16_000)
    file = (await client.post("/v1/files", files={"file": ("a.wav", recording)})).json()["id"]
    await client.post("/v1/voices", json={"name": "carla", "file": file})
    for voice in ("men/bert.wav", str(tmp_path / "voices" / "men" / "bert.wav"), "carla", file, ""):
        answer = await say(client, voice)
        assert answer.status_code == 200, answer.text
        assert "default voice" not in answer.json()["message"]
    names = [backend.store.get(asked.voice).parameters["voice"] for asked in runner.asked[:-1]]  # type: ignore
    assert names == ["men/bert.wav", "men/bert.wav", "carla", file]
    assert runner.asked[-1].voice is None  # type: ignore[attr-defined]


async def test_the_default_voice_speaks_for_one_that_is_missing_or_invalid(
    client: httpx.AsyncClient, runner: Runner, tmp_path: Path
) -> None:
    for voice in ("nobody", "men/cleo.wav", str(tmp_path / "voices" / "gone.wav"), "broken.wav"):
        answer = await say(client, voice)
        assert answer.status_code == 200, answer.text
        assert "using the default voice" in answer.json()["message"]
    inputs = [*TURNS, {"text": "And I.", "voice_id": "broken.wav"}, {"text": "And I.", "voice_id": "cleo"}]
    message = (await converse(client, inputs=inputs)).json()["message"]
    assert "voice 'broken.wav' cannot be used" in message
    assert "voice 'cleo' not found; using the default voice in turn 4" in message
    assert [turn.voice for turn in runner.asked[-1].turns[2:]] == [None, None]  # type: ignore[attr-defined]


@pytest.mark.parametrize("voice", [*PATH_TRICKS, "link.wav"])
async def test_no_voice_is_read_from_elsewhere(
    client: httpx.AsyncClient, backend: Backend, queue: Any, voice: str
) -> None:
    escaped = quote(voice, safe="").replace(".", "%2E")
    body = {"text": "Hello.", "output_filepath": "a.wav"}
    answer = await client.post(f"/services/mock/v1/text-to-speech/{escaped}", json=body)
    assert answer.status_code in (400, 404), answer.text  # 404: no route has a line break in it
    assert set(answer.json()) == {"detail"}
    answer = await converse(client, inputs=[*TURNS, {"text": "Hello.", "voice_id": voice}])
    assert (answer.status_code, set(answer.json())) == (400, {"detail"})
    assert not queue.jobs
    kept = [artifact.parameters["voice"] for artifact in backend.store.search(tag="type:voice").data]
    assert set(kept) <= {"anna.wav", "men/bert.wav"}


Everything = Callable[[], dict[Path, bytes]]


@pytest.fixture
def everything(exports: Path, tmp_path: Path) -> Everything:
    """Every file there is but the database's, around an exports folder with links out of it."""
    exports.mkdir()
    (exports / "out").symlink_to(tmp_path)
    (exports / "secret.wav").symlink_to(tmp_path / "secret.wav")

    def files() -> dict[Path, bytes]:
        found = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in found if not path.name.startswith("audiograph.db")}

    return files


@pytest.mark.parametrize("ending", ["", ".wav"])
@pytest.mark.parametrize("path", [*PATH_TRICKS, "out/a", "secret"])
async def test_nothing_is_written_elsewhere(
    client: httpx.AsyncClient, runner: Runner, everything: Everything, path: str, ending: str
) -> None:
    before = everything()
    answer = await say(client, "", output_filepath=path + ending)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"detail"}
    assert everything() == before
    assert not runner.asked


async def test_an_absolute_output_path_inside_is_fine(
    client: httpx.AsyncClient, runner: Runner, exports: Path
) -> None:
    wanted = str(exports / "deep" / "a.flac")
    answer = await say(client, output_filepath=wanted)
    assert answer.json()["output_filepath"] == wanted
    assert soundfile.info(wanted).format == "FLAC"


async def test_one_file_that_many_write_is_whole(
    client: httpx.AsyncClient, runner: Runner, exports: Path
) -> None:
    answers = await asyncio.gather(*[say(client, "") for _ in range(10)])
    assert {answer.status_code for answer in answers} == {200}
    assert written(exports) == ["a.wav"]
    assert soundfile.info(exports / "a.wav").frames == RATE * SECONDS
