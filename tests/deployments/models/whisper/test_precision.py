"""Fewer bits: how near they are to float32, and that a row of a batch is its own."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from whisper import Whisper as Network
from whisper.model import ModelDimensions

from deployments.models.whisper import precision
from deployments.models.whisper.precision import EXACT_CANDIDATES, TIMESTAMPS, to_native_precision
from deployments.models.whisper.precision import logits as project

DIMENSIONS = ModelDimensions(80, 1500, 64, 2, 2, TIMESTAMPS + 500, 448, 64, 2, 2)


@pytest.fixture(scope="module", autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def exact() -> Network:
    torch.manual_seed(0)
    model = Network(DIMENSIONS).eval()
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.normal_(0, 0.1)
    model.decoder.positional_embedding.normal_()
    return model


@pytest.fixture(scope="module")
def reduced(exact: Network) -> Network:
    return to_native_precision(copy.deepcopy(exact), "reduced")


def deviation(result: Tensor, expected: Tensor) -> float:
    """Return the root of the mean square of the difference, relative to that of the expected value."""
    return float((result - expected).pow(2).mean().sqrt() / expected.pow(2).mean().sqrt())


def test_float32_leaves_the_network_as_it_is(exact: Network) -> None:
    model = to_native_precision(copy.deepcopy(exact), "float32")
    assert model.state_dict().keys() == exact.state_dict().keys()
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_the_default_is_what_the_processor_computes_fast(
    exact: Network, has_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: has_bfloat16)
    model = to_native_precision(copy.deepcopy(exact))
    assert hasattr(model.decoder, "projection") == has_bfloat16


def test_reduced_weights_give_nearly_the_same_features_and_hidden_states(
    exact: Network, reduced: Network
) -> None:
    mel = torch.randn(2, 80, 3000)
    features = exact.encoder(mel)
    assert 0 < deviation(reduced.encoder(mel), features) < 0.02
    tokens = torch.randint(0, 500, (2, 5))
    logits = exact.decoder(tokens, features)
    assert 0 < deviation(reduced.decoder(tokens, features), logits) < 0.03


def test_the_best_words_and_all_timestamps_have_exact_logits(exact: Network, reduced: Network) -> None:
    hidden = torch.randn(3, 64)
    expected, found = project(exact, hidden), project(reduced, hidden)
    torch.testing.assert_close(found[:, -TIMESTAMPS:], expected[:, -TIMESTAMPS:])
    best = expected[:, :-TIMESTAMPS].topk(EXACT_CANDIDATES // 2, -1).indices
    torch.testing.assert_close(found.gather(1, best), expected.gather(1, best))
    assert 0 < deviation(found, expected) < 0.02


def test_a_row_does_not_depend_on_its_neighbors(reduced: Network) -> None:
    hidden = torch.randn(8, 64)
    hidden[1:] *= 100
    together = project(reduced, hidden)[0]
    torch.testing.assert_close(project(reduced, hidden[:1])[0], together, rtol=1e-2, atol=1e-2)
    assert together.argmax() == project(reduced, hidden[:1])[0].argmax()


def test_an_output_whose_weights_are_zero_stays_zero() -> None:
    layer = nn.Linear(64, 4, bias=False)
    layer.weight[0] = 0
    result = precision._int8_linear(layer, torch.float32)(torch.randn(3, 64))
    assert result.isfinite().all()
    assert (result[:, 0] == 0).all()
