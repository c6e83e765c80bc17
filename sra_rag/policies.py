"""Policies: how the normalized entropy of a row determines its share of alpha.

A policy maps ``r``, the normalised entropy of a row (0 focused, 1 spread out), to a curve ``c(r)``;
the row's factor is ``beta = 1 + alpha * c(r)``. To add one, write its class here and enter it in
`POLICIES`. `REALLOCATE` is none of them: it is the rule of the paper's published code, which has no factor, see
`sra_rag.attention.reallocate`.

`SRAConfig` checks names against `POLICIES`, so this module does not import torch: a curve calls the methods of the
tensor that it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    import torch

__all__ = ["POLICIES", "REALLOCATE", "ConstantPolicy", "EntropyPolicy", "FocusPolicy", "Policy"]


class Policy(Protocol):
    """The interface of a policy.

    Attributes
    ----------
    needs_entropy
        Whether the curve depends on ``r``. If it does not, entropy is not computed.
    """

    needs_entropy: ClassVar[bool]

    def curve(self, ratio: torch.Tensor) -> torch.Tensor:
        """Map normalised entropy to a share of alpha, of the same shape.

        Parameters
        ----------
        ratio
            ``(H - h_min) / (h_max - h_min)``, float32, any shape; within [0, 1] for the theoretical bounds.
        """
        ...


class EntropyPolicy:
    """The paper's rule (Gao et al., arXiv 2307.13365): the more spread out a row, the more it is sharpened."""

    needs_entropy: ClassVar[bool] = True

    def curve(self, ratio: torch.Tensor) -> torch.Tensor:
        """Return ``r`` itself."""
        return ratio


class FocusPolicy:
    """The inverse rule: rows that are already focused are sharpened more."""

    needs_entropy: ClassVar[bool] = True

    def curve(self, ratio: torch.Tensor) -> torch.Tensor:
        """Return ``1 - r``."""
        return 1 - ratio


class ConstantPolicy:
    """The same factor for each row: an ablation that shows whether entropy matters."""

    needs_entropy: ClassVar[bool] = False

    def curve(self, ratio: torch.Tensor) -> torch.Tensor:
        """Return 1 everywhere."""
        return ratio.new_ones(ratio.shape)


POLICIES: dict[str, Policy] = {
    "entropy": EntropyPolicy(),
    "constant": ConstantPolicy(),
    "focus": FocusPolicy(),
}

REALLOCATE = "reallocate"
"""Name of the rule of the authors' published code."""
