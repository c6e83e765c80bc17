"""What calibration tries: where and how attention is sharpened, each with the strength that does a given harm."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from sra_rag.config import Bounds, Rows, SRAConfig

__all__ = ["Shape", "head_shapes", "layer_shapes", "strength_at"]

_POLICIES = ("entropy", "constant", "focus")
_PARTS = {"first third": (0, 1), "middle third": (1, 2), "last third": (2, 3)}
_SHARES = (0.1, 0.25, 0.5)  # of all heads


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """A setting but for its strength and its rows.

    Parameters
    ----------
    name
        What it is called.
    policy, bounds, layers
        As for `SRAConfig`.
    heads
        Whether each head of each layer is sharpened, ``L x H_q``; empty for all.
    """

    name: str
    policy: str
    bounds: Bounds = "theoretical"
    layers: str | tuple[int, ...] = "all"
    heads: tuple[tuple[bool, ...], ...] = ()

    def settings(self, alpha: float, rows: Rows) -> SRAConfig:
        """Return the settings at a strength."""
        by_head = tuple(tuple(alpha * on for on in layer) for layer in self.heads)
        return SRAConfig(alpha=by_head or alpha, policy=self.policy, bounds=self.bounds, layers=self.layers, rows=rows)


def layer_shapes(n_layers: int) -> list[Shape]:
    """Return every policy for all layers and for each third of them, most promising first."""
    whole = [Shape(policy, policy) for policy in _POLICIES]
    thirds = [
        Shape(
            f"{policy}, {part}",
            policy,
            layers=tuple(range(first * n_layers // 3, last * n_layers // 3)),
        )
        for part, (first, last) in _PARTS.items()
        for policy in _POLICIES
    ]
    observed = [Shape(f"{policy}, observed bounds", policy, bounds="observed") for policy in ("entropy", "focus")]
    return [*whole, *(thirds if n_layers >= len(_PARTS) else []), *observed]


def head_shapes(gradients: Sequence[Sequence[Sequence[float]]]) -> list[Shape]:
    """Return shapes of the heads that help most.

    Parameters
    ----------
    gradients
        Of each example, by layer and head: how the negative log-likelihood of the right answer moves with a head's
        strength. Heads are ranked by the mean over its standard error: those that help in nearly every example first.
    """
    n_layers, n_heads = len(gradients[0]), len(gradients[0][0])
    ranked = sorted(
        (_t_value([gradient[layer][head] for gradient in gradients]), layer, head)
        for layer in range(n_layers)
        for head in range(n_heads)
    )
    helping = [(layer, head) for t, layer, head in ranked if t < 0]
    shapes = []
    for share in _SHARES:
        size = round(share * n_layers * n_heads)
        chosen = set(helping[:size])
        if size and len(helping) >= size:
            mask = tuple(tuple((layer, head) in chosen for head in range(n_heads)) for layer in range(n_layers))
            shapes += [Shape(f"{policy}, best {share:.0%} of heads", policy, heads=mask) for policy in _POLICIES]
    return shapes


def strength_at(harm: float, measured: Sequence[tuple[float, float]], most: float) -> float:
    """Solve for the strength that does a given harm, from those measured at one or two strengths.

    Harm is taken to grow as ``a * alpha + b * alpha ** 2`` (its first terms: none at 0), or with the square alone
    where one was measured. The result is in ``[0, most]``.
    """
    points = [(alpha, found) for alpha, found in measured if alpha > 0]
    if len(points) == 1:
        alpha, found = points[0]
        a, b = 0.0, found / alpha**2
    else:
        (x, u), (y, v) = points[-2:]
        b = (u / x - v / y) / (x - y)
        a = u / x - b * x
    if abs(b) < 1e-12:
        return min(most, harm / a) if a > 0 else most
    inside = a * a + 4 * b * harm
    if inside < 0:
        return most
    root = (-a + math.sqrt(inside)) / (2 * b)
    return min(most, root) if root > 0 else most


def _t_value(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
    return mean / spread if spread > 0 else math.copysign(math.inf, mean) if mean else 0.0
