"""Entropy of the attention before and after, by layer and by head, over the examples that all settings have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.statistics import Estimate, estimate_columns

__all__ = ["EntropyProfile", "entropy_profile"]


@dataclasses.dataclass(frozen=True, slots=True)
class EntropyProfile:
    """Entropy of the rows that predict the gold answer, in nats.

    Parameters
    ----------
    n
        Number of examples, the same for every setting.
    by_layer
        Mean over heads and examples, by setting; one value a layer.
    change_by_layer
        Other minus baseline, paired, by setting.
    change_by_head
        The same, ``(layers, H_q)``.
    """

    n: int
    by_layer: Mapping[str, Sequence[Estimate]]
    change_by_layer: Mapping[str, Sequence[Estimate]]
    change_by_head: Mapping[str, NDArray[np.float64]]


def entropy_profile(comparison: Comparison, task: str) -> EntropyProfile | None:
    """Return the entropies of a task; None where no example has them under all settings that have any."""
    measured: dict[str, dict[str, Sequence[Sequence[float]]]] = {}
    for setting in comparison.settings:
        for name in comparison.examples(task, setting):
            found = comparison.record(task, setting, name).entropy
            if found:
                measured.setdefault(setting, {})[name] = found
    if comparison.baseline not in measured:
        return None
    shared = [name for name in measured[comparison.baseline] if all(name in them for them in measured.values())]
    if not shared:
        return None
    arrays = {setting: np.asarray([them[name] for name in shared]) for setting, them in measured.items()}
    before = arrays[comparison.baseline]
    others = {setting: array for setting, array in arrays.items() if setting != comparison.baseline}
    return EntropyProfile(
        n=len(shared),
        by_layer={setting: estimate_columns(array.mean(axis=2)) for setting, array in arrays.items()},
        change_by_layer={setting: estimate_columns((array - before).mean(axis=2)) for setting, array in others.items()},
        change_by_head={setting: (array - before).mean(axis=0) for setting, array in others.items()},
    )
