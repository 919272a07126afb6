"""The services dialect, row by row, and each model's parameters."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile

from audiograph.schemas import LoadedVariant, Replica
from deployments.audio import files as audio
from deployments.config import LimitsConfig
from deployments.ingress.backend import Backend
from deployments.models.dia.model import DiaParameters
from deployments.models.higgs.parameters import HiggsParameters
from tests.deployments.ingress.services.conftest import RATE, SECONDS, TURNS, Runner, converse, say


@pytest.mark.parametrize("ending", ["wav", "mp3", "flac", "opus", "aac"])
async def test_speech_is_written_in_the_format_of_its_ending(
    client: httpx.AsyncClient, runner: Runner, backend: Backend, exports: Path, ending: str
) -> None:
    answer = await say(client, output_filepath=f"new/one.{ending}", parameters={"seed": 7, "top_k": 3})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "success"
    assert answer.json()["output_filepath"] == f"new/one.{ending}"
    assert "0.5" in answer.json()["message"]
    samples, rate = audio.decode(exports / "new" / f"one.{ending}", limits=LimitsConfig())
    assert rate == (48_000 if ending == "opus" else RATE)
    assert samples.shape[1] / rate == pytest.approx(SECONDS, abs=0.1)
    [asked] = runner.asked
    anna = backend.voices.get("anna.wav").artifact
    assert anna is not None
    assert asked.model_dump(include={"task", "model", "text", "voice", "seed", "parameters", "format"}) == {
        "task": "speak",
        "model": "mock",
        "text": "Hello.",
        "voice": anna.id,
        "seed": 7,
        "parameters": {"top_k": 3},
        "format": ending,
    }
    [job] = (await client.get("/v1/jobs")).json()["data"]
    assert job["id"] in answer.json()["message"]


@pytest.mark.parametrize("model", ["mock", "dia", "higgs"])
async def test_a_dialogue_is_written(
    client: httpx.AsyncClient, runner: Runner, backend: Backend, exports: Path, model: str
) -> None:
    answer = await converse(client, model, parameters={"seed": 7, "max_new_tokens": 60})
    assert answer.status_code == 200, answer.text
    assert soundfile.info(exports / "a.wav").frames == RATE * SECONDS
    [asked] = runner.asked
    voices = [backend.voices.get(turn["voice_id"]).artifact.id for turn in TURNS]
    assert [(turn.text, turn.voice) for turn in asked.turns] == list(  # type: ignore[attr-defined]
        zip(["Who is there?", "Only me."], voices, strict=True)
    )
    assert (asked.seed, asked.parameters) == (7, {"max_new_tokens": 60})  # type: ignore[attr-defined]


async def test_higgs_speaks_and_dia_says_why_it_does_not(client: httpx.AsyncClient, runner: Runner) -> None:
    assert (await say(client, model="higgs")).status_code == 200
    answer = await say(client, model="dia")
    assert answer.status_code == 400
    assert "trained on dialogues of two" in answer.json()["detail"]


async def test_dia_needs_two_inputs(client: httpx.AsyncClient, runner: Runner) -> None:
    answer = await converse(client, "dia", inputs=TURNS[:1])
    assert answer.status_code == 400
    assert "at least two turns" in answer.json()["detail"]
    assert (await converse(client, "mock", inputs=TURNS[:1])).status_code == 200


async def test_a_refusal_names_the_input(client: httpx.AsyncClient, runner: Runner) -> None:
    wordless = [TURNS[0], {"text": "♪", "voice_id": "men/bert.wav"}]
    answer = await converse(client, "higgs", inputs=wordless)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("inputs.1.text has nothing")
    answer = await converse(client, "dia", inputs=[*TURNS, {"text": "Hm.", "voice_id": "carl"}])
    assert answer.json()["detail"].startswith("inputs.2.voice_id: Dia knows two speakers")


async def test_a_model_is_loaded_and_unloaded(client: httpx.AsyncClient, backend: Backend) -> None:
    for action in ("load", "unload"):
        answer = await client.post(f"/services/higgs/v1/{action}-model")
        assert (answer.status_code, answer.json()["status"]) == (200, "success")
        assert "1 replica" in answer.json()["message"]
    assert backend.models.asked == [("load", "higgs", None), ("unload", "higgs", None)]  # type: ignore[attr-defined]


async def test_health_tells_whether_it_is_loaded_and_where(
    client: httpx.AsyncClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = {"status": "healthy", "model_loaded": False, "device": "cpu", "dependencies_available": True}
    assert (await client.get("/services/higgs/health")).json() == health
    loaded = [LoadedVariant(variant="v2-3B", weights="pretrained", bytes=1, users=0, idle_seconds=0)]
    replica = Replica(id="r", device="cuda", memory_bytes=1, ongoing=0, loaded=loaded)
    monkeypatch.setattr(backend.models, "replicas", {"higgs": [replica]})
    answer = (await client.get("/services/higgs/health")).json()
    assert answer == health | {"model_loaded": True, "device": "cuda"}
    monkeypatch.setattr(backend.models, "replicas", {"higgs": [replica.model_copy(update={"loaded": []})]})
    assert (await client.get("/services/higgs/health")).json()["model_loaded"] is False


@pytest.mark.parametrize(
    ("model", "checkpoint"),
    [
        ("dia", "nari-labs/Dia-1.6B-0626"),
        ("higgs", "bosonai/higgs-audio-v2-generation-3B-base"),
        ("mock", "none"),
        ("speaker", "none"),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_root_names_the_checkpoint(
    client: httpx.AsyncClient, model: str, checkpoint: str, slash: str
) -> None:
    answer = await client.get(f"/services/{model}{slash}")
    assert answer.json() == {"message": f"{model.capitalize()} Service", "model": checkpoint}


def test_the_defaults_are_those_of_the_originals() -> None:
    assert DiaParameters().max_new_tokens == 256
    assert HiggsParameters().model_dump() == {
        "scene_prompt": "Audio is recorded from a quiet room.",
        "transcription": None,
        "audio_transcriptions": [],
        "max_new_tokens": 1024,
        "temperature": 0.3,
        "top_p": 0.95,
        "top_k": 50,
        "ras_win_len": 7,
        "ras_win_max_num_repeat": 2,
    }


@pytest.mark.parametrize(
    ("model", "parameters", "says"),
    [
        ("higgs", {"exaggeration": 0.5}, "parameters.exaggeration is unknown; higgs takes scene_prompt"),
        ("higgs", {"temperature": 9}, "parameters.temperature"),
        ("dia", {"ras_win_len": 7}, "dia takes max_new_tokens"),
        ("dia", {"max_new_tokens": "many"}, "not 'many'"),
        ("higgs", {"audio_transcriptions": 7}, "parameters.audio_transcriptions"),
        ("higgs", {"audio_transcriptions": ["a", "b", "c"]}, "3 texts for 2 voices"),
        ("mock", {"seed": -1}, "'parameters.seed'"),
        ("mock", {"seed": "one"}, "not 'one'"),
        ("mock", {"x" * 65: 1}, "64"),
        ("mock", [1], "dictionary"),
    ],
)
async def test_bad_parameters_are_refused_with_the_right_ones(
    client: httpx.AsyncClient, model: str, parameters: Any, says: str
) -> None:
    answer = await converse(client, model, parameters=parameters)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]


async def test_the_mock_takes_whatever_another_model_does(client: httpx.AsyncClient, runner: Runner) -> None:
    given = {"exaggeration": 0.5, "ras_win_len": None, "scene_prompt": "a cave", "max_new_tokens": 256}
    assert (await say(client, parameters=given | {"seed": None})).status_code == 200
    assert runner.asked[0].parameters == given  # type: ignore[attr-defined]
