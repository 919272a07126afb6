"""A picture of chroma over time."""

import io

from deployments.models.pitch_analysis.chroma import Array
from deployments.models.pitch_analysis.key_profiles import PITCHES

_CHROMA_AXES = (0.035, 0.125, 0.88, 0.79)
_COLORBAR_AXES = (0.925, 0.125, 0.025, 0.79)
"""Left, bottom, width and height within the figure. They are fixed, since matplotlib's automatic layout takes
longer than estimating the key of a short recording."""


def draw_chroma(chroma: Array, duration: float, title: str) -> bytes:
    """Draw chroma ``[12, frames]``, 0..1, over ``duration`` seconds as a PNG.

    The figure is created without pyplot, whose figures are shared by all threads.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(_CHROMA_AXES)
    image = axes.imshow(
        chroma, aspect="auto", origin="lower", extent=(0, duration, -0.5, 11.5), cmap="magma", vmin=0, vmax=1
    )
    axes.set_yticks(range(12), PITCHES)
    axes.set_xlabel("time in seconds" if duration < 120 else "time in minutes")
    if duration >= 120:
        axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds // 60:.0f}:{seconds % 60:02.0f}")
    axes.set_title(title, fontsize=14, loc="left")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, cax=figure.add_axes(_COLORBAR_AXES), label="strength")
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
