"""A tiny random graph with the inputs and outputs of Kokoro, and random voices for it.

Each symbol takes some frames, and the speech is a tone whose pitch depends on the voice.
"""

import numpy as np

from deployments.models.kokoro.engine import DURATIONS, FRAME_SAMPLES, Styles
from deployments.models.kokoro.onnx_file import FLOAT, INT64, constant, graph, model, node, tensor
from deployments.models.kokoro.symbols import TOKENS
from deployments.models.kokoro.voices import LANGUAGES, MAX_SYMBOLS, STYLE_SIZE, VOICES

_MAX_FRAMES = 6
_PITCH = 0.05
"""Radians per sample of the lowest voice: 190 Hz."""


def tiny_graph() -> bytes:
    """Build the graph, as the bytes of an ONNX file of 4 kB."""
    frames = np.random.default_rng(0).uniform(2, _MAX_FRAMES, (TOKENS, 1)).astype(np.float32)[:, 0]
    constants = {
        "frames": frames,
        "one": np.float32(1),
        "zero": np.float32(0),
        "frame_samples": np.float32(FRAME_SAMPLES),
        "volume": np.float32(0.3),
        "axis": np.array([0, 1], np.int64),
    }
    return model(
        graph(
            nodes=[
                node("Gather", ["frames", "tokens"], "natural"),
                node("Div", ["natural", "speed"], "spoken"),
                node("Round", ["spoken"], "rounded"),
                node("Max", ["rounded", "one"], DURATIONS),
                node("ReduceSum", [DURATIONS, "axis"], "total", keepdims=0),
                node("Mul", ["total", "frame_samples"], "samples"),
                node("Range", ["zero", "samples", "one"], "time"),
                node("ReduceMean", ["style"], "pitch", keepdims=0),
                node("Mul", ["time", "pitch"], "phase"),
                node("Sin", ["phase"], "tone"),
                node("Mul", ["tone", "volume"], "audio"),
            ],
            constants=[constant(name, np.asarray(value)) for name, value in constants.items()],
            inputs=[
                tensor("tokens", INT64, [1, "sequence_length"]),
                tensor("style", FLOAT, [1, STYLE_SIZE]),
                tensor("speed", FLOAT, [1]),
            ],
            outputs=[tensor("audio", FLOAT, ["audio_length"])],
        )
    )


def tiny_voices() -> dict[str, Styles]:
    """Return styles of all voices: each has a pitch of its own."""
    names = [voice.id for voice in VOICES if voice.language in LANGUAGES.values()]
    pitches = {name: np.float32(_PITCH * (1 + number / len(names))) for number, name in enumerate(names)}
    return {name: np.full((MAX_SYMBOLS, 1, STYLE_SIZE), pitch) for name, pitch in pitches.items()}
