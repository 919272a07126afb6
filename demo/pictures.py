"""Plots of recordings for light and dark pages: transparent background, medium gray lines."""

import base64
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import soundfile
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from demo.sounds import Samples

INK = "#8a8f98"
WAVE = "#4f8ef7"
COLUMNS = 900
"""Columns of the waveform, about one per pixel."""
WINDOW, HOP = 2048, 512
FLOOR_DB, TOP_HZ = -70, 6000


def plot(path: Path) -> str:
    """Plot the waveform and spectrogram of a recording; return a PNG as a data URI."""
    samples, rate = soundfile.read(path, always_2d=True)
    mono = samples.mean(axis=1)
    style = {"font.size": 7, "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK}
    with mpl.rc_context(style | {"xtick.color": INK, "ytick.color": INK}):
        figure = Figure(figsize=(5.4, 2.3), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 3])
        _waveform(above, mono, rate)
        _spectrogram(below, mono, rate)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=170, transparent=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _waveform(axes: Axes, mono: Samples, rate: int) -> None:
    """Draw the range between the lowest and highest sample of each column."""
    columns = np.array_split(mono, min(COLUMNS, len(mono)))
    low, high = [column.min() for column in columns], [column.max() for column in columns]
    axes.fill_between(np.linspace(0, len(mono) / rate, len(columns)), low, high, color=WAVE, linewidth=0.4)
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False)


def _spectrogram(axes: Axes, mono: Samples, rate: int) -> None:
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mono, WINDOW // 2), WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    decibels = 10 * np.log10(power / power.max() + 10 ** (FLOOR_DB / 10))
    extent = (0, len(mono) / rate, 0, rate / 2)
    axes.imshow(
        decibels.T, origin="lower", aspect="auto", extent=extent, cmap="magma", interpolation="bilinear"
    )
    axes.set_ylim(0, min(TOP_HZ, rate / 2))
    axes.yaxis.set_major_formatter(lambda hertz, _: f"{hertz / 1000:g} kHz")
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g} s")
    axes.spines[:].set_visible(False)
