"""Conversion between numbers of channels, and downmix of surround sound to stereo."""

import numpy as np

from deployments.audio.source import Block

_LAYOUTS = {3: "LRC", 4: "LRLR", 5: "LRCLR", 6: "LRC-LR", 7: "LRC-CLR", 8: "LRC-LRLR"}
"""Side of each channel of a surround layout, in WAV order: ``L``, ``R``, ``C`` for both, and ``-`` for the
low-frequency channel, which a downmix omits."""
_SIDES = {"L": (1.0, 0.0), "R": (0.0, 1.0), "C": (0.5**0.5, 0.5**0.5), "-": (0.0, 0.0)}
_SURROUND_GAIN = 0.5**0.5


def to_channels(block: Block, channels: int) -> Block:
    """Convert ``[frames, channels]`` to another number of channels.

    Mono is repeated in all of them, and everything else is mixed down to mono or stereo. Of a larger number,
    the channels beyond those of the block stay silent.
    """
    present = block.shape[1]
    if present == channels:
        return block
    if present == 1:
        return np.repeat(block, channels, axis=1)
    if channels == 1:
        mono: Block = to_stereo(block).mean(axis=1, keepdims=True, dtype=np.float32)
        return mono
    if channels == 2:
        return to_stereo(block)
    converted = np.zeros((len(block), channels), np.float32)
    converted[:, : min(present, channels)] = block[:, :channels]
    return converted


def to_stereo(block: Block) -> Block:
    """Mix ``[frames, channels]`` down to two channels; one or two are returned unchanged.

    The weights are those of ITU-R BS.775 (center and surround 3 dB down), scaled so that samples within full
    scale stay within it. Channels of unknown layouts go to left and right alternately.
    """
    channels = block.shape[1]
    return block if channels <= 2 else block @ _weights(channels)


def _weights(channels: int) -> Block:
    """Return the mixing weights ``[channels, 2]``."""
    layout = _LAYOUTS.get(channels) or ("LR" * channels)[:channels]
    weights = np.array([_SIDES[side] for side in layout], np.float32)
    surround = [channel for channel, side in enumerate(layout) if channel >= 2 and side in "LR"]
    weights[surround] *= _SURROUND_GAIN
    scaled: Block = weights / weights.sum(axis=0)
    return scaled
