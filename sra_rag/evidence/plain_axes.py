"""The axes of plots for notebooks: without the lines at the top and on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plain_axes"]


def plain_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of a size in inches, which does not need pyplot, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
