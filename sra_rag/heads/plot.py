"""A picture of the evidence heads of a model: layers and heads, with the score of each head as its colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sra_rag.errors import ConfigError, require_extra
from sra_rag.heads.head_search import EvidenceHead

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "check_plot_file", "draw_heads", "plot_heads"]

FORMATS = (".svg", ".png", ".pdf")
"""Allowed suffixes of the picture file."""

_UNRANKED = "#d9dee3"  # heads without a known score


def check_plot_file(path: Path) -> None:
    """Check that a picture can be written, before a model is loaded.

    Raises
    ------
    ConfigError
        If the format is not supported, or the folder of the file does not exist.
    MissingExtraError
        If matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"The picture file {str(path)!r} must end with one of: {', '.join(FORMATS)}.")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"The folder of the picture file {str(path)!r} does not exist. Create it, or name another.")
    require_extra("sra-rag heads --plot", "plot", "matplotlib")


def plot_heads(heads: Sequence[EvidenceHead], path: Path, *, n_layers: int, n_heads: int, top: int, title: str) -> None:
    """Write the picture of `draw_heads` to a file.

    Parameters
    ----------
    heads, n_layers, n_heads, top, title
        As for `draw_heads`.
    path
        File to write; its suffix is one of `FORMATS`.

    Raises
    ------
    ConfigError, MissingExtraError
        See `check_plot_file`.
    """
    check_plot_file(path)
    from matplotlib import rc_context

    # Without a hash salt and a date, the same heads give the same SVG file.
    with rc_context({"svg.hashsalt": "sra-rag", "svg.fonttype": "none", "text.parse_math": False}):
        figure = draw_heads(heads, n_layers=n_layers, n_heads=n_heads, top=top, title=title)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)


def draw_heads(heads: Sequence[EvidenceHead], *, n_layers: int, n_heads: int, top: int, title: str) -> Figure:
    """Draw a picture in which the colour of each head is its share of the right passage.

    Parameters
    ----------
    heads
        Evidence heads, best first. Other heads of the model are grey.
    n_layers
        Number of layers of the model.
    n_heads
        Number of query heads of a layer.
    top
        Number of best heads that are marked with a frame.
    title
        Title of the picture.

    Returns
    -------
    figure
        A figure of matplotlib, which a notebook shows.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    require_extra("draw_heads", "plot", "matplotlib")
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    shares = np.ma.masked_all((n_layers, n_heads))
    for head in heads:
        shares[head.layer, head.head] = head.share
    figure = Figure(figsize=(2.6 + 0.22 * n_heads, 1.8 + 0.16 * n_layers), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(_UNRANKED)
    image = axes.imshow(
        shares, cmap="viridis_r", vmin=0, vmax=1, origin="lower", aspect="auto", interpolation="nearest"
    )
    for head in heads[:top]:
        corner = (head.head - 0.5, head.layer - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#c0392b", linewidth=1.2))
    axes.set(xlabel="query head", ylabel="layer", title=title)
    figure.colorbar(image, label="share of the right passage (chance: 0.10)")
    key = [Patch(facecolor="none", edgecolor="#c0392b", label=f"the {min(top, len(heads))} best heads")]
    if len(heads) < n_layers * n_heads:
        key.append(Patch(facecolor=_UNRANKED, label=f"not among the {len(heads)} best"))
    figure.legend(handles=key, loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return figure
