"""Parameters that a kernel uses to compute sharpening factors from entropies.

With the policies and bounds that are supported on GPUs, the factor of a row is a linear function of its entropy ``H``::

    beta = 1 + alpha * (constant + slope * (H - low) / (high - low))
"""

from __future__ import annotations

import dataclasses
import functools
import math

import torch

from sra_rag.attention.session import Session
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.policies import POLICIES

__all__ = ["LINE_FIELDS", "THEORETICAL", "FactorRules", "factor_rules", "line"]

LINE_FIELDS = ("constant", "slope", "low", "high")
"""Columns of `FactorRules.lines`."""

THEORETICAL = math.inf
"""Value of `high` that means: the logarithm of the number of keys that the row attends to."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FactorRules:
    """Factor parameters of several settings, on the device.

    Parameters
    ----------
    lines
        Line of each setting, ``(settings, 4)``, float32; the columns are `LINE_FIELDS`.
    alpha
        Strength of sharpening, ``(layers, settings, H_q)``, float32; 0 for heads that are not sharpened.
    """

    lines: torch.Tensor
    alpha: torch.Tensor


@functools.lru_cache(maxsize=64)
def factor_rules(
    configs: tuple[SRAConfig, ...], n_layers: int, n_heads: int, heads: range | None, device: torch.device
) -> FactorRules:
    """Return the factor parameters of settings on the device. Recent results are cached.

    Parameters
    ----------
    configs
        Settings; the rows refer to them by their index.
    n_layers, n_heads, heads
        See `sra_rag.attention.session.Session`.
    device
        Device of the result.
    """
    # The lengths of context and prompt do not matter here: rows that are not sharpened are in no tile.
    sessions = [Session(config, n_layers, n_heads, 0, 0, heads) for config in configs]
    alpha = torch.stack([torch.stack([session.strength(layer) for session in sessions]) for layer in range(n_layers)])
    lines = torch.tensor([line(config) for config in configs], dtype=torch.float32)
    return FactorRules(lines.to(device), alpha.float().to(device))


def line(config: SRAConfig) -> tuple[float, float, float, float]:
    """Return the line of settings, see `LINE_FIELDS`.

    Raises
    ------
    ConfigError
        If the policy is not a linear function of the entropy.
    """
    start, middle, end = POLICIES[config.policy].curve(torch.tensor([0.0, 0.5, 1.0])).tolist()
    if middle != (start + end) / 2:
        raise ConfigError(
            f"policy={config.policy!r} is not linear in the entropy and is not supported inside vLLM on a GPU. Use "
            "another policy, or serve on a CPU or without vLLM."
        )
    low, high = config.bounds if isinstance(config.bounds, tuple) else (0.0, THEORETICAL)
    return start, end - start, low, high
