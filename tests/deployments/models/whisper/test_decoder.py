"""Rows of Whisper's decoder that join and leave."""

import pytest
import torch
from whisper import Whisper as Network
from whisper.tokenizer import get_tokenizer

from deployments.models.whisper.decoder import Decoder

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_last_row_takes_the_place_of_one_that_leaves(babbler: Network) -> None:
    """Of three rows the first leaves: the third continues in its place, as it does alone in a decoder."""
    tokenizer = get_tokenizer(True, language="en", task="transcribe")
    initial = list(tokenizer.sot_sequence)
    features = torch.randn(3, 1500, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        decoder, single = Decoder(babbler), Decoder(babbler)
        decoder.prefill(decoder.join(features), [initial] * 3)
        decoder.leave(0)
        single.prefill(single.join(features[2:]), [initial])
        together = decoder.step([11, 12], [3, 3])
        alone = single.step([11], [3])
    assert torch.allclose(together[0], alone[0], atol=1e-4)
    assert not torch.allclose(together[1], alone[0], atol=1e-4)
