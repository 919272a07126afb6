"""Voices of a request are bound before it is stored: with real storage and real models."""

from pathlib import Path

import pytest
import soundfile

from audiograph.errors import InvalidAudio, InvalidRequest
from audiograph.schemas import DialogueRequest, SpeakRequest
from deployments.config import AppConfig
from deployments.jobs.binding import Binding, RequestT, bind_voices
from deployments.models.registry import Registry
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.voices import VoiceStore
from tests.support.sounds import speech_like, wav_bytes

MODELS = {"dia": "dia:Dia", "higgs": "higgs:Higgs", "mock": "mock:Mock", "espeak": "espeak:EspeakSpeech"}
SAID = "What is said in it."


class House:
    """A store, uploads, and a folder of voices: anna has a transcript, mute has none."""

    def __init__(self, folder: Path) -> None:
        voices_folder = folder / "voices"
        voices_folder.mkdir()
        for name in ("anna", "mute"):
            soundfile.write(voices_folder / f"{name}.wav", speech_like(seconds=2.0)[0], 16_000)
        (voices_folder / "anna.txt").write_text(SAID)
        config = AppConfig.model_validate(
            {
                "models": {n: {"class": f"deployments.models.{path}"} for n, path in MODELS.items()},
                "storage": {
                    "database_url": f"sqlite:///{folder / 'a.db'}",
                    "artifacts_url": str(folder / "a"),
                },
                "voices": {"folder": voices_folder},
            }
        )
        self.store = ArtifactStore.open(config.storage)
        self.store.database.migrate()
        self.voices = VoiceStore(self.store, config.voices, config.limits)
        self._registry = Registry.from_config(config)

    def upload(self, seconds: float = 2.0) -> str:
        with self.store.writer() as writer:
            writer.write(wav_bytes(speech_like(seconds=seconds), sample_rate=16_000))
            return writer.commit_file("take.wav", "audio/wav", None).id

    def bind(self, request: RequestT) -> Binding[RequestT]:
        return bind_voices(self._registry.resolve(request), self._registry, self.voices)

    def speak(self, voice: str, model: str = "mock", **fields: object) -> Binding[SpeakRequest]:
        return self.bind(
            SpeakRequest.model_validate({"text": "hi", "voice": voice, "model": model, **fields})
        )

    def dialogue(
        self, *voices: str | None, model: str = "mock", **parameters: object
    ) -> Binding[DialogueRequest]:
        turns = [{"text": "hi", "voice": voice} for voice in voices]
        return self.bind(
            DialogueRequest.model_validate({"turns": turns, "model": model, "parameters": parameters})
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def voices_of(binding: Binding[DialogueRequest]) -> list[str | None]:
    return [turn.voice for turn in binding.request.turns]


@pytest.mark.parametrize("voice", ["bert", "men/bert.wav", "file_" + 32 * "0", "no_body"])
@pytest.mark.parametrize("model", ["mock", "espeak", "higgs"])
def test_the_default_voice_speaks_for_one_that_is_not_there(house: House, voice: str, model: str) -> None:
    binding = house.speak(voice, model)
    assert binding.request.voice is None
    assert binding.notes == [f"voice {voice!r} not found; using the default voice"]


def test_a_model_that_clones_none_has_only_its_own(house: House) -> None:
    assert "'anna.wav' not found" in house.speak("anna.wav", "espeak").notes[0]
    binding = house.speak("en-us", "espeak")
    assert (binding.request.voice, list(binding.notes)) == ("en-us", [])


def test_the_note_tells_the_turns(house: House) -> None:
    binding = house.dialogue("bert", "anna.wav", "bert", None, "cleo")
    assert voices_of(binding) == [None, house.voices.get("anna.wav").artifact.id, None, None, None]
    assert binding.notes == [
        "voice 'bert' not found; using the default voice in turns 1, 3",
        "voice 'cleo' not found; using the default voice in turn 5",
    ]


def test_a_recording_that_is_named_twice_is_one_voice(house: House) -> None:
    file = house.upload()
    binding = house.dialogue(file, "anna.wav", file)
    first, second, third = voices_of(binding)
    assert first == third != second
    assert binding.created == [first]


def test_an_artifact_that_is_a_voice_keeps_what_it_says(house: House) -> None:
    anna = house.voices.get("anna.wav").artifact
    assert anna is not None
    binding = house.dialogue(anna.id, None, model="dia")
    assert (voices_of(binding), binding.created) == ([anna.id, None], [])


@pytest.mark.parametrize("model", ["dia", "higgs"])
@pytest.mark.parametrize("mute", ["mute.wav", "an upload"])
def test_a_voice_whose_words_must_be_known_is_refused_and_leaves_nothing(
    house: House, model: str, mute: str
) -> None:
    voice = house.upload() if mute == "an upload" else mute
    house.voices.list()  # the folder has been read
    items = house.store.usage().items
    fault = r"needs the transcript of voice .*, which has none.*POST /v1/voices"
    with pytest.raises(InvalidRequest, match=fault) as refused:
        house.dialogue("anna.wav", voice, model=model)
    assert refused.value.field == "turns.1.voice"
    assert house.store.usage().items == items


def test_a_recording_that_can_be_no_voice_leaves_none_of_the_others(house: House) -> None:
    files = house.upload(), house.upload(0.3)
    with pytest.raises(InvalidAudio, match="1 to 60 s") as refused:
        house.dialogue(*files)
    assert refused.value.field == "turns.1.voice"
    assert house.store.usage().items == 2


def test_higgs_may_be_told_what_a_voice_says(house: House) -> None:
    with pytest.raises(InvalidRequest, match=r"set parameters\.transcription$") as refused:
        house.speak("mute.wav", "higgs")
    assert refused.value.field == "voice"
    assert house.speak("mute.wav", "higgs", parameters={"transcription": SAID}).notes == []
    assert (
        house.dialogue("anna.wav", "mute.wav", model="higgs", audio_transcriptions=[None, SAID]).notes == []
    )


def test_what_is_told_of_a_voice_that_is_not_there_is_told_of_no_other(house: House) -> None:
    told = ["what bert says", SAID]
    binding = house.dialogue("bert", "mute.wav", model="higgs", audio_transcriptions=told)
    assert binding.request.parameters == {"audio_transcriptions": [SAID]}
    with pytest.raises(InvalidRequest, match=r"turns\.1|mute"):
        house.dialogue("bert", "mute.wav", model="higgs", audio_transcriptions=told[:1])


def test_dia_refuses_voices_that_say_too_much(house: House, tmp_path: Path) -> None:
    (tmp_path / "voices" / "anna.txt").write_text("word " * 250)
    with pytest.raises(InvalidRequest, match="at most 1024"):
        house.dialogue("anna.wav", None, model="dia")


@pytest.mark.parametrize(
    "voice", ["../anna.wav", "/etc/passwd", "~/anna.wav", ".hidden", "a\\b", "file:///a"]
)
@pytest.mark.parametrize("model", ["mock", "espeak"])
def test_what_no_voice_can_be_called_is_refused(house: House, voice: str, model: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        house.speak(voice, model)
    assert refused.value.field == "voice"


@pytest.mark.parametrize(
    ("tag", "voice"),
    [("pt_BR", "pt-br"), ("EN-US", "en-us"), ("fr-FR", "fr"), ("zh-TW", "cmn"), ("no", "nb")],
)
def test_a_language_tag_is_a_voice_of_espeak(house: House, tag: str, voice: str) -> None:
    binding = house.speak(tag, "espeak")
    assert (binding.request.voice, [*binding.notes]) == (voice, [])
