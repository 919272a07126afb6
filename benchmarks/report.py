"""Reports comparisons as a table, a chart and JSON."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks.measure import Comparison

_BASELINE, _CONTENDER = "#8a8f98", "#4f8ef7"


def table(comparison: Comparison) -> Table:
    """Tabulate medians, rates, and the ratio to the first row with its range over the rounds."""
    table = Table(title=comparison.title, title_justify="left", box=None)
    table.add_column("contender")
    for name in ("median", f"{comparison.unit} per second", "ratio", "from", "to"):
        table.add_column(name, justify="right")
    for name in comparison.seconds:
        median, ratios = comparison.median(name), comparison.ratios(name)
        ratio = statistics.median(ratios)
        cells = (
            f"{comparison.amount / median:.1f}",
            f"{ratio:.2f}",
            f"{min(ratios):.2f}",
            f"{max(ratios):.2f}",
        )
        table.add_row(name, f"{median:.3f} s", *cells)
    return table


def write(folder: Path, comparisons: Sequence[Comparison]) -> None:
    """Write ``results.json`` and ``ratios.png`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [comparison.record() for comparison in comparisons]
    (folder / "results.json").write_text(json.dumps(records, indent=2) + "\n")
    rows = [len(comparison.seconds) for comparison in comparisons]
    figure = Figure(figsize=(9, 0.8 * len(rows) + 0.4 * sum(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axes, comparison in zip(panels, comparisons, strict=True):
        _bars(axes, comparison)
    panels[-1].set_xlabel("ratio of the time to the baseline's: median, and range over the rounds")
    figure.savefig(folder / "ratios.png", dpi=150)


def _bars(axes: Axes, comparison: Comparison) -> None:
    names = list(comparison.seconds)
    ratios = [comparison.ratios(name) for name in names]
    medians = [statistics.median(values) for values in ratios]
    below = [median - min(values) for median, values in zip(medians, ratios, strict=True)]
    above = [max(values) - median for median, values in zip(medians, ratios, strict=True)]
    colors = [_BASELINE, *[_CONTENDER] * (len(names) - 1)]
    axes.barh(names, medians, xerr=(below, above), color=colors, ecolor="#333333", capsize=3)
    axes.axvline(1, color=_BASELINE, linewidth=0.8)
    axes.invert_yaxis()
    axes.set_title(comparison.title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
