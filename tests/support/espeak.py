"""The real eSpeak NG, and programs in its place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiograph.schemas import SpeakRequest
from deployments.models.base import Output
from deployments.models.espeak.model import EspeakOptions, EspeakSpeech
from deployments.models.kit.espeak import library as espeak_library
from deployments.models.kit.espeak import process as espeak_process
from deployments.models.kit.espeak.process import EspeakProcesses
from deployments.models.loading import load
from tests.deployments.models.fakes import FakeContext
from tests.support.speech import FOX


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> EspeakProcesses:
    pytest.importorskip("espeakng_loader")
    work_dir = tmp_path_factory.mktemp("work")
    loaded = load(EspeakSpeech(EspeakOptions()), "espeak-ng", "cpu", "pretrained", work_dir)
    assert loaded.weights == "none"
    return loaded.engine


@pytest.fixture
def speak(engine: EspeakProcesses) -> Callable[..., Output]:
    """Check and run a request to speak a text."""

    def run(text: str = FOX, context: FakeContext | None = None, **fields: object) -> Output:
        request = SpeakRequest.model_validate({"text": text, **fields})
        EspeakSpeech(EspeakOptions()).check_request(request, "espeak-ng")
        return EspeakSpeech(EspeakOptions()).run(engine, request, context or FakeContext())

    return run


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Run another Python program in place of the library's."""

    def replace(content: str) -> None:
        path = tmp_path / "program.py"
        path.write_text(content)
        monkeypatch.setattr(espeak_library, "__file__", str(path))

    assert str(espeak_library.__file__) in espeak_process._program("library", "data")
    return replace
