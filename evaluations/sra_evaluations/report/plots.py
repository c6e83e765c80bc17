"""The plots of the report as SVG that takes its colours from the page, so that they follow light and dark.

Each function returns the drawing alone; names of settings, captions and the numbers belong to the page.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sra_evaluations.results.statistics import Estimate

__all__ = ["MARKS", "SERIES", "draw_heat_map", "draw_layers", "draw_parts", "draw_strengths", "series_color"]

# Colours that are variables of the page, and shapes: either identifies a setting. The numbers of both have no
# common divisor, so that no two of the first 56 settings look alike.
SERIES = 8
MARKS = "●■▲▼◆✚✖"
_SHAPES = ("o", "s", "^", "v", "D", "P", "X")
_SIZE = (4.8, 2.9)  # inches of 72 points: readable unscaled on a phone
_TEXT, _GRID = "#5eff00", "#5eff01"  # represent variables, like the colours of series
_STYLE: dict[Any, Any] = {  # keys are a Literal of hundreds of names
    "svg.fonttype": "none",
    "svg.hashsalt": "sra-rag",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.unicode_minus": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), _TEXT),
}

Points = Mapping[int, Sequence[tuple[float, Estimate]]]
"""The points of each series: position on the x axis, and value."""


def series_color(series: int) -> str:
    """Return the page's variable for a series."""
    return f"var(--series-{series % SERIES})"


@mpl.rc_context(_STYLE)
def draw_parts(
    labels: Sequence[str], points: Points, *, x: str, y: str, connected: bool, share: bool, alt: str
) -> Markup:
    """Draw means of parts side by side, with intervals.

    Parameters
    ----------
    labels
        Labels of the parts.
    points
        Points by series; the position is the index of the part.
    x, y
        Labels of the axes.
    connected
        Whether parts follow each other.
    share
        Whether values are in [0, 1] and shown in percent.
    alt
        Description of the drawing in words.
    """  # fmt: skip
    axes = _axes()
    for at, (series, them) in enumerate(points.items()):
        shift = 0.5 * ((at + 0.5) / len(points) - 0.5)
        _errors(axes, series, [(where + shift, estimate) for where, estimate in them], connected=connected)
    axes.set_xticks(range(len(labels)), [_short(label) for label in labels])
    if sum(len(_short(label)) for label in labels) > 50:
        axes.figure.subplots_adjust(bottom=0.38)
        axes.tick_params(axis="x", labelrotation=30)
        for tick in axes.get_xticklabels():
            tick.set_horizontalalignment("right")
    axes.set_xlim(-0.5, len(labels) - 0.5)
    if share:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if value >= 0.1 or not value else f"{value:.1%}")
    axes.set(xlabel=x, ylabel=y)
    return _to_svg(axes, alt)


@mpl.rc_context(_STYLE)
def draw_strengths(points: Points, *, y: str, alt: str) -> Markup:
    """Draw differences against off by alpha; the places are the alphas."""
    axes = _axes()
    axes.axhline(0, color=_TEXT, linewidth=0.8, linestyle=(0, (4, 3)))
    for series, them in points.items():
        _errors(axes, series, them, connected=True)
    axes.set_xlim(left=0, right=1.08 * max(alpha for them in points.values() for alpha, _ in them) or 1.0)
    axes.set(xlabel="alpha", ylabel=y)
    return _to_svg(axes, alt)


@mpl.rc_context(_STYLE)
def draw_layers(by_series: Mapping[int, Sequence[Estimate]], *, y: str, alt: str) -> Markup:
    """Draw one value a layer, with the interval as a band."""
    axes = _axes()
    for series, estimates in by_series.items():
        layers = range(len(estimates))
        low, high = ([getattr(e, side) for e in estimates] for side in ("low", "high"))
        axes.fill_between(layers, low, high, color=_color(series), alpha=0.18, linewidth=0)
        axes.plot(
            layers,
            [e.value for e in estimates],
            color=_color(series),
            marker=_shape(series),
            markersize=3,
            linewidth=1.2,
            linestyle="--" if series == 0 else "-",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="layer", ylabel=y)
    return _to_svg(axes, alt)


@mpl.rc_context(_STYLE)
def draw_heat_map(values: NDArray[np.float64], limit: float, *, label: str, alt: str) -> Markup:
    """Draw ``(layers, heads)`` values, layers along; colours reach from minus `limit` to `limit`."""
    axes = _axes(grid=False)
    image = axes.imshow(
        values.T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", origin="lower", interpolation="none"
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="layer", ylabel="head")
    axes.figure.colorbar(image, ax=axes, label=label, pad=0.03)
    return _to_svg(axes, alt)


def _axes(*, grid: bool = True) -> Axes:
    # Margins that fit, as a layout that finds them takes longer than all the drawing.
    figure = Figure(figsize=_SIZE, facecolor="none")
    figure.subplots_adjust(left=0.18 if grid else 0.1, right=0.96, bottom=0.16, top=0.97)
    FigureCanvasSVG(figure)
    axes = figure.add_subplot(facecolor="none")
    axes.spines[["top", "right"]].set_visible(not grid)
    if grid:
        axes.grid(axis="y", color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    return axes


def _to_svg(axes: Axes, alt: str) -> Markup:
    written = io.StringIO()
    # Without metadata: it contains a date, and addresses of vocabularies that look like something to load.
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    axes.figure.canvas.print_figure(written, format="svg", metadata=nothing)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    size = re.search(r'viewBox="[^"]*"', svg)
    viewed = size[0] if size else ""
    svg = re.sub(r"<svg[^>]*>", f'<svg {viewed} role="img" aria-label="{escape(alt)}">', svg, count=1)
    svg = re.sub(r"(?<=: )#5e00([0-9a-f]{2})", lambda found: series_color(int(found[1], 16)), svg)
    # Several drawings are on one page, and each counts its parts from one.
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{own}-", svg)
    svg = svg.replace(f": {_TEXT}", ": var(--ink)").replace(f": {_GRID}", ": var(--grid)")
    return Markup(svg)  # noqa: S704 - matplotlib escapes the texts, and the one put in above is


def _errors(axes: Axes, series: int, points: Sequence[tuple[float, Estimate]], *, connected: bool) -> None:
    places, values = [where for where, _ in points], [e.value for _, e in points]
    # Where there is no interval none is drawn.
    below = [0.0 if math.isnan(e.low) else max(0.0, e.value - e.low) for _, e in points]
    above = [0.0 if math.isnan(e.high) else max(0.0, e.high - e.value) for _, e in points]
    axes.errorbar(
        places,
        values,
        yerr=(below, above),
        color=_color(series),
        marker=_shape(series),
        markersize=4.5,
        linewidth=1.2 if connected else 0,
        elinewidth=1.2,
        capsize=2.5,
        linestyle="--" if series == 0 else "-",
    )


def _color(series: int) -> str:
    return f"#5e00{series % SERIES:02x}"


def _shape(series: int) -> str:
    return _SHAPES[series % len(_SHAPES)]


def _short(label: str) -> str:
    return label if len(label) <= 18 else f"{label[:17]}…"
