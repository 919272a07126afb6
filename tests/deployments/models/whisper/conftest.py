"""Networks for tests of Whisper."""

import pytest
import torch
from whisper import ModelDimensions
from whisper import Whisper as Network

from deployments.models.loading import load
from deployments.models.whisper.model import Whisper, WhisperOptions


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The tiny checkpoint: it decodes the same text from every window."""
    model = Whisper(WhisperOptions(precision="float32"))
    return load(model, "tiny", "cpu", "tiny", tmp_path_factory.mktemp("work")).engine


@pytest.fixture(scope="module")
def babbler() -> Network:
    """Random weights everywhere: the text depends on each token, each sample and each rounding error."""
    dims = ModelDimensions(80, 1500, 64, 2, 2, 51865, 448, 64, 2, 2)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)  # building a network draws from the global generator
        network = Network(dims).eval()
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2)
    return network
