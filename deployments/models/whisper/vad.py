"""Where speech is in a recording: silero-vad's network and rules, over thousands of chunks at a time.

Its own way of use calls a scripted model for each chunk of 32 ms, 0.2 ms a call, of which next to nothing is
arithmetic. Here the convolutions run over all chunks of a block at once and the LSTM in one sweep: the same
numbers, some thirty times sooner. Nothing is kept between calls, so that threads may share a detector.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.models.base import Samples

SAMPLE_RATE = 16_000
CHUNK = 512
"""Samples for which there is one probability: 32 ms."""

CONTEXT, REFLECTED = 64, 64  # samples before a chunk that the network sees, and mirrored ones behind it
BINS = 129
BLOCK = 2048
"""Chunks worked on at a time: a minute."""

PAD_MILLISECONDS = 400
"""Kept on both sides of speech: what begins softly is noticed late."""


class SpeechDetector:
    """The network for 16 kHz, with the weights of the installed package."""

    def __init__(self) -> None:
        import torch

        self._weights = _weights()
        self._lstm = torch.nn.LSTM(128, 128)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self._lstm.load_state_dict({f"{name}_l0": self._weights[f"decoder.rnn.{name}"] for name in names})

    def probabilities(self, samples: Samples, check: Callable[[], None]) -> NDArray[np.float32]:
        """How likely there is speech, chunk by chunk.

        Args:
            samples: float32 ``[frames]`` at 16 kHz.
            check: called once per minute of audio; may raise.

        Returns:
            float32 ``[chunks]`` within 0..1; the last chunk is filled up with silence.
        """
        import torch

        found: list[NDArray[np.float32]] = []
        state: Any = None
        with torch.inference_mode():
            for start in range(0, len(samples), BLOCK * CHUNK):
                check()
                heard, state = self._lstm(self._features(_chunks(samples, start)), state)
                found.append(
                    self._conv("decoder.decoder.2", heard.relu()[..., None]).sigmoid().flatten().numpy()
                )
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _features(self, chunks: Any) -> Any:
        """Float32 ``[chunks, 128]`` of ``[chunks, 1, samples]``."""
        import torch
        from torch.nn import functional

        spectrum = functional.conv1d(chunks, self._weights["stft.forward_basis_buffer"], stride=128)
        x = torch.hypot(spectrum[:, :BINS], spectrum[:, BINS:])
        for layer, stride in enumerate((1, 2, 2, 1)):
            x = self._conv(f"encoder.{layer}.reparam_conv", x, stride=stride, padding=1).relu()
        return x.squeeze(-1)

    def _conv(self, name: str, x: Any, **options: int) -> Any:
        from torch.nn import functional

        return functional.conv1d(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], **options)


@cache
def speech_detector() -> SpeechDetector:
    """The one detector of this process."""
    return SpeechDetector()


def stretches(probabilities: Sequence[float] | NDArray[np.float32], frames: int) -> list[tuple[int, int]]:
    """Where speech begins and ends, as silero-vad judges: pairs of samples in order, none overlapping.

    Args:
        probabilities: of `SpeechDetector`.
        frames: length of the recording in samples.
    """
    judge = _silero().get_speech_timestamps_from_probs
    found = judge(
        [float(one) for one in probabilities],
        audio_length_samples=frames,
        speech_pad_ms=PAD_MILLISECONDS,
    )
    return [(part["start"], part["end"]) for part in found]


def _chunks(samples: Samples, start: int) -> Any:
    """A block as ``[chunks, 1, samples]``: each with what came before it and its own mirrored end."""
    import torch
    from torch.nn import functional

    stop = min(start + BLOCK * CHUNK, len(samples))
    before = samples[max(0, start - CONTEXT) : start]
    block = np.concatenate([np.zeros(CONTEXT - len(before), np.float32), before, samples[start:stop]])
    padded = functional.pad(torch.from_numpy(block), (0, -(stop - start) % CHUNK))
    return functional.pad(padded.unfold(0, CONTEXT + CHUNK, CHUNK)[:, None], (0, REFLECTED), "reflect")


def _weights() -> dict[str, Any]:
    """Of the package's own default, by their names in its network for 16 kHz."""
    import torch

    path = Path(_silero().__file__).parent / "data" / "silero_vad.jit"
    state = torch.jit.load(str(path)).state_dict()  # type: ignore[no-untyped-call]
    return {name.removeprefix("_model."): tensor for name, tensor in state.items()}


def _silero() -> Any:
    """The package's module of rules. Its import sets the threads of all of PyTorch to one; that is undone."""
    import torch

    threads = torch.get_num_threads()
    from silero_vad import utils_vad

    torch.set_num_threads(threads)
    return utils_vad
