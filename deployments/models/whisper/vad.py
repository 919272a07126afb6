"""Detects speech with the network and the rules of silero-vad, many chunks at a time.

The package itself calls a scripted model for each chunk of 32 ms. A call takes 0.2 ms, of which almost
nothing is arithmetic. Here the convolutions run over all chunks of a block at once, and the LSTM in one
sweep: the probabilities are the same, and about thirty times faster to compute. No state is kept between
calls, so that threads can share a detector.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deployments.models.base import Samples

if TYPE_CHECKING:
    from torch import Tensor

SAMPLE_RATE = 16_000
"""Hz."""
CHUNK_SAMPLES = 512
"""Samples with one probability of speech: 32 ms."""
CONTEXT_SAMPLES = 64
"""Samples before a chunk that the network takes with it."""
REFLECTED_SAMPLES = 64
"""Samples at the end of a chunk whose mirror image follows it."""
BINS = 129
"""Frequencies of the network's short-time Fourier transform."""
BLOCK_CHUNKS = 2048
"""Chunks that are computed at a time: about a minute."""
MIN_SPEECH = 0.3
"""A chunk with a lower probability holds no speech."""
MIN_SPEECH_CHUNKS = 3
"""Chunks of speech in audio with speech: about 0.1 s. Single chunks of music may be mistaken for speech."""
PADDING_MS = 400
"""Milliseconds kept on both sides of speech: soft beginnings are detected late."""


class SpeechDetector:
    """The network for 16 kHz, with the weights of the installed package."""

    def __init__(self) -> None:
        import torch

        self._weights = _weights()
        self._lstm = torch.nn.LSTM(128, 128)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self._lstm.load_state_dict({f"{name}_l0": self._weights[f"decoder.rnn.{name}"] for name in names})

    def probabilities(self, samples: Samples, check: Callable[[], None]) -> NDArray[np.float32]:
        """Compute the probability of speech in every chunk.

        Args:
            samples: float32 ``[frames]`` at 16 kHz.
            check: called once per minute of audio; may raise.

        Returns:
            float32 ``[chunks]`` within 0..1; the last chunk is padded with silence.
        """
        import torch

        blocks: list[NDArray[np.float32]] = []
        state: tuple[Tensor, Tensor] | None = None
        with torch.inference_mode():
            for start in range(0, len(samples), BLOCK_CHUNKS * CHUNK_SAMPLES):
                check()
                hidden, state = self._lstm(self._features(_chunks(samples, start)), state)
                logits = self._conv("decoder.decoder.2", hidden.relu()[..., None])
                blocks.append(logits.sigmoid().flatten().numpy())
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def _features(self, chunks: "Tensor") -> "Tensor":
        """Encode chunks ``[chunks, 1, samples]`` to float32 ``[chunks, 128]``."""
        import torch
        from torch.nn import functional

        spectrum = functional.conv1d(chunks, self._weights["stft.forward_basis_buffer"], stride=128)
        x = torch.hypot(spectrum[:, :BINS], spectrum[:, BINS:])
        for layer, stride in enumerate((1, 2, 2, 1)):
            x = self._conv(f"encoder.{layer}.reparam_conv", x, stride=stride, padding=1).relu()
        return x.squeeze(-1)

    def _conv(self, name: str, x: "Tensor", **options: int) -> "Tensor":
        from torch.nn import functional

        return functional.conv1d(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], **options)


def has_speech(samples: Samples, check: Callable[[], None]) -> bool:
    """Return whether speech may be anywhere in float32 ``[frames]`` at 16 kHz; `check` may raise."""
    probabilities = speech_detector().probabilities(samples, check)
    return int((probabilities >= MIN_SPEECH).sum()) >= min(MIN_SPEECH_CHUNKS, len(probabilities))


@cache
def speech_detector() -> SpeechDetector:
    """Return the detector that all threads of this process share."""
    return SpeechDetector()


def speech_segments(
    probabilities: Sequence[float] | NDArray[np.float32], frames: int
) -> list[tuple[int, int]]:
    """Find the segments of speech, by silero-vad's own rules.

    Args:
        probabilities: of `SpeechDetector`.
        frames: length of the recording in samples.

    Returns:
        Start and end of each segment in samples, in order and without overlap.
    """
    segments = _silero().get_speech_timestamps_from_probs(
        [float(probability) for probability in probabilities],
        audio_length_samples=frames,
        speech_pad_ms=PADDING_MS,
    )
    return [(segment["start"], segment["end"]) for segment in segments]


def _chunks(samples: Samples, start: int) -> "Tensor":
    """Return a block as ``[chunks, 1, samples]``: chunks with the samples before and their mirrored ends."""
    import torch
    from torch.nn import functional

    stop = min(start + BLOCK_CHUNKS * CHUNK_SAMPLES, len(samples))
    before = samples[max(0, start - CONTEXT_SAMPLES) : start]
    silence = np.zeros(CONTEXT_SAMPLES - len(before), np.float32)
    block = np.concatenate([silence, before, samples[start:stop]])
    padded = functional.pad(torch.from_numpy(block), (0, -(stop - start) % CHUNK_SAMPLES))
    chunks = padded.unfold(0, CONTEXT_SAMPLES + CHUNK_SAMPLES, CHUNK_SAMPLES)[:, None]
    return functional.pad(chunks, (0, REFLECTED_SAMPLES), "reflect")


def _weights() -> "dict[str, Tensor]":
    """Load the weights of the package's default network, by their names in its part for 16 kHz."""
    import torch

    path = Path(str(_silero().__file__)).parent / "data" / "silero_vad.jit"
    state = torch.jit.load(str(path)).state_dict()  # type: ignore[no-untyped-call]
    return {name.removeprefix("_model."): tensor for name, tensor in state.items()}


def _silero() -> ModuleType:
    """Import the package's rules; the import limits all of PyTorch to one thread, which is undone here."""
    import torch

    threads = torch.get_num_threads()
    from silero_vad import utils_vad

    torch.set_num_threads(threads)
    rules: ModuleType = utils_vad
    return rules
