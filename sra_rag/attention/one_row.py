"""Attention of one sharpened or weighed row, as when a token is decoded, by a kernel that is compiled for CPUs.

The kernel reads keys and values once for all query heads that share them, and computes scores, entropy, factor and
output in one call. `ScoreRows` needs some twenty operators for it, whose calls cost as much as the sums.
"""

from __future__ import annotations

import functools
import math

import torch

from sra_rag.attention.evidence import LayerEvidence
from sra_rag.attention.session import Session
from sra_rag.attention.visibility import Visibility
from sra_rag.policies import POLICIES

__all__ = ["is_linear", "sharpened_row"]

_DIMS = 32  # the head size is a multiple of it; `kDims` in the kernel


def sharpened_row(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    visibility: Visibility,
    layer: int,
    scale: float,
    sharpened: bool,
    evidence: LayerEvidence | None,
) -> torch.Tensor | None:
    """Return the attention of one row, ``(B, H_q, 1, D)``, or None if the kernel does not serve it.

    It does not where a row may not see all earlier keys because of a rule or of padding that is not on the left, where
    gradients are wanted, where the bounds are observed, and where the kernel is not compiled (yet).

    Parameters
    ----------
    query, key, value, visibility, layer, scale
        As for `sra_rag.attention.fast.fast_reattention`.
    sharpened
        Whether the row is sharpened.
    evidence
        Evidence that the row weighs; None for none.
    """
    session = visibility.session
    if not (
        query.device.type == "cpu"
        and query.dtype != torch.float64
        and query.dtype == key.dtype == value.dtype
        and key.shape == value.shape
        and key.shape[-1] % _DIMS == 0
        and visibility.rule is None
        and (not sharpened or _is_served(session, visibility.position))
        and not torch.is_grad_enabled()
    ):
        return None
    if evidence is not None and (visibility.window is not None or visibility.key_position):
        return None
    padding = visibility.left_padding(query.shape[0])
    kernel = session.row_kernel()
    if padding is None or kernel is None:
        return None
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    line = session.line(layer) if sharpened else _plain(query.shape[1])
    # Sequences with keys of their own, or with evidence of their own, are served one by one.
    one_by_one = any(padding) or (evidence is not None and len(padding) > 1)
    outputs: list[torch.Tensor] = []
    for number in range(len(padding)) if one_by_one else (0,):
        own = slice(number, number + 1) if one_by_one else slice(None)
        begin = max(padding[number], visibility.first_key(0))
        n_keys = key.shape[2] - begin
        # With a single visible key the entropy is 0, and so is its ratio to the log of 2.
        low, high = 0.0, math.log(max(2, n_keys))
        if isinstance(session.config.bounds, tuple):
            low, high = session.config.bounds
        weighed = (None, None) if evidence is None else evidence.of_sequence(number, visibility.position, begin)
        own_key, own_value = key[own, :, begin:], value[own, :, begin:]
        outputs.append(kernel(query[own], own_key, own_value, scale, *line, low, high, *weighed))
    return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def _is_served(session: Session, position: int) -> bool:
    """Return whether the factor of a row at a position is known from its entropy alone, in all sequences."""
    return session.config.bounds != "observed" and is_linear(session.config.policy) and session.sharpens_all(position)


@functools.cache
def _plain(n_heads: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the line of rows that are not sharpened, see `Session.line`."""
    return torch.ones(n_heads), torch.zeros(n_heads)


@functools.cache
def is_linear(policy: str) -> bool:
    """Return whether the factor of a row is a linear function of its normalised entropy."""
    start, middle, end = POLICIES[policy].curve(torch.tensor([0.0, 0.5, 1.0])).tolist()
    return middle == (start + end) / 2
