"""Many channels to two."""

import numpy as np

from deployments.audio.decoder import Block

_LAYOUTS = {3: "LRC", 4: "LRLR", 5: "LRCLR", 6: "LRC-LR", 7: "LRC-CLR", 8: "LRC-LRLR"}
"""Which side each channel of a surround layout is on, in the order of WAV; ``C`` is both, and ``-`` is the
channel of low frequencies, which a downmix leaves out."""
_SIDES = {"L": (1.0, 0.0), "R": (0.0, 1.0), "C": (0.5**0.5, 0.5**0.5), "-": (0.0, 0.0)}
_BEHIND = 0.5**0.5


def stereo(block: Block) -> Block:
    """At most two channels of ``[frames, channels]``: one and two stay as they are, more are mixed down.

    The weights are those of ITU-R BS.775 (centre and surround 3 dB down), scaled so that nothing passes full
    scale that did not before. Of layouts without a name, channels go left and right by turns.
    """
    channels = block.shape[1]
    return block if channels <= 2 else block @ _weights(channels)


def _weights(channels: int) -> Block:
    """Weights ``[channels, 2]``."""
    layout = _LAYOUTS.get(channels) or ("LR" * channels)[:channels]
    weights = np.array([_SIDES[side] for side in layout], np.float32)
    behind = [n for n, side in enumerate(layout) if n >= 2 and side in "LR"]
    weights[behind] *= _BEHIND
    scaled: Block = weights / weights.sum(axis=0)
    return scaled
