"""Sharpened attention of many rows in one pass, by a kernel that is compiled for CPUs.

The kernel keeps the scores of a few rows in the processor's cache: it computes their entropies from the scores, and the
weights from the same scores multiplied by the factors. So scores are computed once, where `KernelRows` computes them
twice. The factor of a row must be a linear function of its entropy that is known beforehand.
"""

from __future__ import annotations

import torch

from sra_rag.attention.compiling import row_kernels
from sra_rag.attention.evidence import LayerEvidence
from sra_rag.attention.one_row import is_linear
from sra_rag.attention.rows import KernelRows

__all__ = ["OnePassRows", "in_one_pass"]

_FEWEST_ROWS = 256  # below, a second pass costs little
_MOST_GROUPED = 48  # query heads that share a key head; `kRows` in the kernel
_BLOCK = 64  # keys; `kKeys` in the kernel
_HIDDEN = -1e30  # `kHidden` in the kernel


class OnePassRows(KernelRows):
    """Rows whose sharpened attention has been computed together with their factors.

    Parameters
    ----------
    rows
        The rows, of which those before `first` are not sharpened.
    first
        Index of the first sharpened row.
    sharpened
        ``(B, H_q, rows, D)``, in the dtype of the query: the attention of the sharpened rows.
    lse
        ``(B, H_q, rows)``, float32: log-sum-exp of the sharpened scores; ``-inf`` for a row that sees no key.
    beta
        ``(B, H_q, rows)``, float32: the factors.
    """

    def __init__(
        self, rows: KernelRows, first: int, sharpened: torch.Tensor, lse: torch.Tensor, beta: torch.Tensor
    ) -> None:
        super().__init__(rows.query, rows.key, rows.value, rows.visibility, rows.scale)
        self.first, self.sharpened, self.lse, self.beta = first, sharpened, lse, beta

    def output(
        self, start: int, stop: int, beta: torch.Tensor | None, evidence: LayerEvidence | None = None
    ) -> torch.Tensor:
        """Attention of rows ``start..stop``; where `beta` is given, it must be the factors in ``self.beta``."""
        if beta is None:
            return super().output(start, stop, beta, evidence)
        computed = (..., slice(start - self.first, stop - self.first))
        output = self.sharpened[:, :, start - self.first : stop - self.first]
        if evidence is None:
            return output
        query = (self.query[:, :, start:stop] * beta[..., None]).to(output.dtype)
        return self._weigh(output, self.lse[computed], query, start, evidence)


def in_one_pass(rows: KernelRows, layer: int, first: int) -> KernelRows:
    """Compute the sharpened rows, those from `first` on, if the kernel serves them; else return `rows` as they are.

    It does not where they are few, where gradients are wanted, where the bounds are observed from the entropies of all
    rows, and where nothing can be compiled.
    """
    query, key, value, visibility = rows.query, rows.key, rows.value, rows.visibility
    if visibility.n_rows - first < _FEWEST_ROWS or not _is_served(rows):
        return rows
    kernels = row_kernels()
    if kernels is None or (query.dtype == torch.bfloat16 and kernels.multiplies_bfloat16()):
        return rows  # with matrix instructions for bfloat16, two passes of PyTorch's kernel are faster
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query[:, :, first:], key, value))
    last_keys = torch.arange(first, visibility.n_rows) + visibility.first_row_key + 1
    first_keys = torch.zeros_like(last_keys)
    if visibility.window is not None:
        first_keys = (last_keys - visibility.window).clamp_min_(0)
    hidden = None
    if visibility.real is not None:
        hidden = torch.zeros(len(key), -(-key.shape[2] // _BLOCK) * _BLOCK)
        hidden[:, : key.shape[2]].masked_fill_(~visibility.real[:, : key.shape[2]], _HIDDEN)
    base, slope = _line(rows, layer, first)
    return OnePassRows(
        rows, first, *kernels.sharpened_rows(query, key, value, rows.scale, first_keys, last_keys, hidden, base, slope)
    )


def _is_served(rows: KernelRows) -> bool:
    session = rows.visibility.session
    return (
        rows.query.device.type == "cpu"
        and rows.query.dtype != torch.float64
        and not torch.is_grad_enabled()
        and rows.query.shape[1] <= _MOST_GROUPED * rows.key.shape[1]
        and session.needs_entropy
        and session.config.bounds != "observed"
        and is_linear(session.config.policy)
    )


def _line(rows: KernelRows, layer: int, first: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factors for the entropy 0, and how much they grow for each nat."""
    visibility = rows.visibility
    count = visibility.count(first, rows.query.device)
    real = visibility.is_real_row(first, rows.query.device)
    zero = torch.zeros(*rows.query.shape[:2], visibility.n_rows - first)
    position = visibility.position + first
    base, unit = (visibility.session.beta(layer, position, entropy, count, real) for entropy in (zero, zero + 1))
    return base.contiguous(), (unit - base).contiguous()
