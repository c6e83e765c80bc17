"""How entropies become factors, as a few numbers that a kernel can read.

With the policies and bounds that are served on GPUs, a row's factor is a straight line of its entropy::

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

__all__ = ["THEORETICAL", "FactorRules", "factor_rules", "line"]

THEORETICAL = math.inf
"""Stands as `high` for the log of how many keys a row may see."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FactorRules:
    """The rules of some settings, on the device.

    Parameters
    ----------
    lines
        ``(settings, 4)``, float32: constant, slope, low and high.
    alpha
        ``(layers, settings, H_q)``, float32; 0 where nothing is sharpened.
    """

    lines: torch.Tensor
    alpha: torch.Tensor


@functools.lru_cache(maxsize=64)
def factor_rules(
    configs: tuple[SRAConfig, ...], n_layers: int, n_heads: int, heads: range | None, device: torch.device
) -> FactorRules:
    """Lay out the rules of settings; those of the last few sets of settings stay on the device.

    Parameters
    ----------
    configs
        The settings, in the order in which rows name them.
    n_layers, n_heads, heads
        As for `sra_rag.attention.session.Session`.
    """
    # From which position on rows are sharpened does not matter here: those that are not have no factor.
    sessions = [Session(config, n_layers, n_heads, 0, 0, heads) for config in configs]
    alpha = torch.stack([torch.stack([session.strength(layer) for session in sessions]) for layer in range(n_layers)])
    lines = torch.tensor([line(config) for config in configs], dtype=torch.float32)
    return FactorRules(lines.to(device), alpha.float().to(device))


def line(config: SRAConfig) -> tuple[float, float, float, float]:
    """Return constant, slope, low and high of settings.

    Raises
    ------
    ConfigError
        If their policy is no straight line.
    """
    start, middle, end = POLICIES[config.policy].curve(torch.tensor([0.0, 0.5, 1.0])).tolist()
    if middle != (start + end) / 2:
        raise ConfigError(
            f"policy={config.policy!r} is no straight line, and cannot be served inside vLLM on a GPU. Use another "
            "policy, or serve it on a CPU or without vLLM."
        )
    low, high = config.bounds if isinstance(config.bounds, tuple) else (0.0, THEORETICAL)
    return start, end - start, low, high
