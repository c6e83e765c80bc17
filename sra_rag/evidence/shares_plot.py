"""A picture of where the attention of an answer went: the share of each passage, under several settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sra_rag.errors import ConfigError, require_extra
from sra_rag.evidence.plain_axes import plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_shares"]


def draw_shares(
    shares: Mapping[str, Sequence[float]], *, labels: Sequence[str] | None = None, marked: int | None = None
) -> Figure:
    """Draw the share of attention that an answer gave to each passage, one bar for each setting.

    Parameters
    ----------
    shares
        For each setting, such as ``"off"``, the share of each passage in [0, 1], for example
        ``AttentionShares(...).mean()``.
    labels
        Names of the passages; by default their numbers, from 1.
    marked
        Index of a passage whose name is bold, such as the one with the answer.

    Returns
    -------
    figure
        A figure of matplotlib, which a notebook shows and ``savefig`` writes to a file.

    Raises
    ------
    ConfigError
        If there is no setting, or the settings or `labels` differ in the number of passages.
    MissingExtraError
        If matplotlib is not installed.
    """
    require_extra("draw_shares", "plot", "matplotlib")
    from matplotlib.ticker import PercentFormatter

    counts = {name: len(values) for name, values in shares.items()}
    if not counts:
        raise ConfigError("There are no shares to draw. Give those of at least one setting.")
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        raise ConfigError(f"All settings must have the same passages, but {listed}.")
    n_passages = next(iter(counts.values()))
    names = [str(number) for number in range(1, n_passages + 1)] if labels is None else list(labels)
    if len(names) != n_passages:
        raise ConfigError(f"There are {len(names)} labels for {n_passages} passages. Give one for each passage.")

    figure, axes = plain_axes(2.0 + 0.6 * n_passages, 2.8)
    width = 0.8 / len(shares)
    for index, (name, values) in enumerate(shares.items()):
        left = [passage - 0.4 + (index + 0.5) * width for passage in range(n_passages)]
        axes.bar(left, [float(value) for value in values], width, label=name)
    axes.set_xticks(range(n_passages), names)
    if marked is not None:
        axes.get_xticklabels()[marked].set_fontweight("bold")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set(xlabel="passage", ylabel="share of the answer's attention")
    axes.legend(frameon=False)
    return figure
