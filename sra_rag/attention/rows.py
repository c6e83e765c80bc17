"""Two ways to compute rows, with one interface: their entropy, and their attention with multiplied scores.

- `KernelRows`: fused kernels that return the log-sum-exp; no score is ever stored. For prefill.
- `ScoreRows`: scores of a block of rows are stored, in float32. For decoding, where one row of scores is stored and the
  keys are read once, and for cases that no kernel supports: soft-capped scores and masks of any pattern.
"""

from __future__ import annotations

import torch

from sra_rag.attention.entropy import entropy_from_mean_key, entropy_from_scores
from sra_rag.attention.evidence import LayerEvidence
from sra_rag.attention.kernels import attend
from sra_rag.attention.visibility import Visibility

__all__ = ["KernelRows", "ScoreRows"]

_BAND_ROWS = 256  # rows of a sliding window served by one kernel call, each with its own mask
_SCORES_AT_ONCE = 1 << 24  # float32 scores stored by `ScoreRows`: 64 MiB
_HIDDEN = -1e30  # replaces -inf where 0 * -inf would spoil a sum


class KernelRows:
    """Rows computed by fused kernels. Supports causal, padded and sliding-window visibilities."""

    def __init__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, visibility: Visibility, scale: float
    ) -> None:
        self.query, self.key, self.value = query, key, value
        self.visibility, self.scale = visibility, scale

    def entropy(self, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Entropy of the rows from `start` on, ``(B, H_q, rows)``, and the number of keys that each may attend to."""
        query, key = self.query[:, :, start:], self.key
        count = self.visibility.count(start, query.device)
        center = None
        if key.dtype in (torch.float16, torch.bfloat16):
            # Entropy does not change when all keys are shifted, but the rounding of the mean key does: keys have
            # a large common part in some channels, and small numbers are rounded less.
            center = key.mean(dim=2, keepdim=True, dtype=torch.float32)
            shifted = key - center.to(key.dtype)
            mean_key, lse = self._attend(query, key, shifted, start)
            mean_key = mean_key.float() + _by_query_head(center.to(key.dtype).float(), query.shape[1])
        else:
            mean_key, lse = self._attend(query, key, key, start)
        entropy = entropy_from_mean_key(query, mean_key, lse, self.scale)
        if self.visibility.real is not None:
            entropy = entropy.masked_fill(count == 0, 0)
        return entropy, count

    def output(
        self, start: int, stop: int, beta: torch.Tensor | None, evidence: LayerEvidence | None = None
    ) -> torch.Tensor:
        """Attention of rows ``start..stop``, their scores multiplied by `beta`, ``(B, H_q, stop - start)``."""
        query = self.query[:, :, start:stop]
        if beta is not None:
            query = (query * beta[..., None]).to(query.dtype)
        output, lse = self._attend(query, self.key, self.value, start)
        return output if evidence is None else self._weigh(output, lse, query, start, evidence)

    def _weigh(
        self, output: torch.Tensor, lse: torch.Tensor, query: torch.Tensor, start: int, evidence: LayerEvidence
    ) -> torch.Tensor:
        """Join attention over all keys with ``w - 1`` times attention over the evidence."""
        n_rows = query.shape[2]
        key, value, seen = evidence.gather(self.key, self.value, self.visibility, start, start + n_rows)
        bias = None
        if seen is not None:
            bias = torch.zeros(seen.shape, device=seen.device).masked_fill(~seen, float("-inf"))[:, None]
        if evidence.bias is not None:
            of_keys = evidence.bias[:, None, None]
            bias = of_keys if bias is None else bias + of_keys
        if n_rows == 1:
            extra, extra_lse = self._attend_packed(query, key, value, bias)
        else:
            extra, extra_lse = attend(query, key, value, scale=self.scale, bias=bias)
        if seen is not None:
            extra_lse = extra_lse.masked_fill(~seen.any(-1)[:, None], float("-inf"))
            # What a kernel returns for a row that sees nothing is undefined.
            extra = extra.nan_to_num(0)
        return _merge(output, lse, extra, extra_lse + evidence.log_extra())[0]

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, start: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        stop = start + query.shape[2]
        if stop - start == 1:
            return self._attend_one(query, key, value, start)
        if not self.visibility.is_full_causal:
            return self._attend_band(query, key, value, start, stop)
        past, end = self.visibility.first_row_key + start, self.visibility.first_row_key + stop
        real = self.visibility.real
        square_real = None if real is None else real[:, past:end]
        output, lse = attend(
            query,
            key[:, :, past:end],
            value[:, :, past:end],
            scale=self.scale,
            causal=True,
            bias=_padding_bias(square_real),
        )
        if square_real is not None:
            lse = lse.masked_fill((square_real.cumsum(-1) == 0)[:, None], float("-inf"))
        if past == 0:
            return output, lse
        past_real = None if real is None else real[:, :past]
        past_output, past_lse = attend(
            query, key[:, :, :past], value[:, :, :past], scale=self.scale, bias=_padding_bias(past_real)
        )
        if past_real is not None:
            past_lse = past_lse.masked_fill(~past_real.any(-1)[:, None, None], float("-inf"))
        return _merge(output, lse, past_output, past_lse)

    def _attend_one(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, row: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        first, last = self.visibility.first_key(row), self.visibility.last_key(row + 1)
        real = None if self.visibility.real is None else self.visibility.real[:, first:last]
        return self._attend_packed(query, key[:, :, first:last], value[:, :, first:last], _padding_bias(real))

    def _attend_packed(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # The query heads of a group see the same keys: they are served as the rows of one key/value head.
        batch, heads, _, size = query.shape
        packed = query.reshape(batch, key.shape[1], -1, size)
        output, lse = attend(packed, key, value, scale=self.scale, bias=bias)
        return output.reshape(batch, heads, 1, size), lse.reshape(batch, heads, 1)

    def _attend_band(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, start: int, stop: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        blocks = []
        for top in range(start, stop, _BAND_ROWS):
            bottom = min(top + _BAND_ROWS, stop)
            keys = slice(self.visibility.first_key(top), self.visibility.last_key(bottom))
            blocks.append(
                attend(
                    query[:, :, top - start : bottom - start],
                    key[:, :, keys],
                    value[:, :, keys],
                    scale=self.scale,
                    bias=self.visibility.bias(top, bottom, query.device),
                )
            )
        outputs, lses = zip(*blocks, strict=True)
        return torch.cat(outputs, dim=2), torch.cat(lses, dim=2)


class ScoreRows:
    """Rows whose scores are computed, block by block, in float32. Any visibility, any scores."""

    def __init__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        visibility: Visibility,
        scale: float,
        softcap: float | None,
    ) -> None:
        self.query, self.key, self.value = query, key, value
        self.visibility, self.scale, self.softcap = visibility, scale, softcap
        per_row = query.shape[0] * query.shape[1] * key.shape[2]
        self.block = max(1, _SCORES_AT_ONCE // max(1, per_row))
        self.kept: tuple[tuple[int, int], torch.Tensor] | None = None
        # Where no gradient is wanted, the buffers of a block are used again: fresh ones cost more than the sums.
        self.reuse = not torch.is_grad_enabled()
        if query.dtype != torch.float32 and not query.is_cuda:
            # Without a product that accumulates into float32, the operands themselves are widened, once.
            self.query, self.key, self.value = query.float(), key.float(), value.float()
        self.dtype = query.dtype
        self.scratch: torch.Tensor | None = None
        self.weights = query.new_empty(0)  # of the last block, until the next is computed

    def entropy(self, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Entropy of the rows from `start` on, ``(B, H_q, rows)``, and the number of keys that each may attend to."""
        entropies, counts = [], []
        for top, bottom in self._blocks(start, self.visibility.n_rows):
            log_weights, count = self._log_weights(top, bottom)
            entropy = entropy_from_scores(log_weights, scratch=self.scratch)
            if count is None:
                count = self.visibility.count(start, self.query.device)
                if bottom - top < count.shape[-1]:
                    count = count[..., top - start : bottom - start]
            elif not bool(count.all()):
                entropy = entropy.masked_fill(count == 0, 0)
            entropies.append(entropy)
            counts.append(count)
        if len(entropies) == 1:
            return entropies[0], counts[0]
        return torch.cat(entropies, dim=-1), torch.cat(counts, dim=-1)

    def output(
        self, start: int, stop: int, beta: torch.Tensor | None, evidence: LayerEvidence | None = None
    ) -> torch.Tensor:
        """Attention of rows ``start..stop``, their scores multiplied by `beta`, ``(B, H_q, stop - start)``."""
        outputs = []
        for top, bottom in self._blocks(start, stop):
            log_weights, count = self._log_weights(top, bottom)
            if beta is not None:
                # softmax does not change if a row is shifted, so log-weights can be used as scores.
                factor = beta[:, :, top - start : bottom - start, None]
                log_weights = torch.mul(log_weights, factor, out=log_weights if self.reuse else None)
                self.kept = None
            if evidence is not None:
                if beta is None or not self.reuse:
                    log_weights = log_weights.clone()
                evidence.add_to_scores(log_weights, self.visibility, top, self.visibility.first_key(top))
            weights = torch.softmax(log_weights, dim=-1, out=self.scratch)
            if count is not None and not bool(count.all()):
                weights = weights.masked_fill((count == 0)[..., None], 0)
            self.weights = weights
            outputs.append(self._weighted_values(weights, top, bottom))
        return torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0]

    def _blocks(self, start: int, stop: int) -> list[tuple[int, int]]:
        return [(top, min(top + self.block, stop)) for top in range(start, stop, self.block)]

    def _log_weights(self, top: int, bottom: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-softmax of rows ``top..bottom``, ``(B, H_q, rows, keys)``, and how many keys each row may see."""
        bias = None
        if self.visibility.n_rows > 1 or self.visibility.real is not None or self.visibility.rule is not None:
            bias = self.visibility.bias(top, bottom, self.query.device)
        count = None if bias is None else (bias > float("-inf")).sum(-1).float()
        if self.kept is not None and self.kept[0] == (top, bottom):
            return self.kept[1], count
        keys = self.key[:, :, self.visibility.first_key(top) : self.visibility.last_key(bottom)]
        scores = _scaled_product(self._by_group(self.query[:, :, top:bottom]), keys, self.scale)
        scores = scores.view(*self.query.shape[:2], bottom - top, keys.shape[2])
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        if bias is not None:
            scores = (scores + bias).clamp_min_(_HIDDEN)
        log_weights = torch.log_softmax(scores, dim=-1)
        self.kept = (top, bottom), log_weights
        self.scratch = scores if self.reuse else None
        return log_weights, count

    def _weighted_values(self, weights: torch.Tensor, top: int, bottom: int) -> torch.Tensor:
        values = self.value[:, :, self.visibility.first_key(top) : self.visibility.last_key(bottom)]
        rows = self._by_group(weights.to(values.dtype))
        output = torch.bmm(rows.flatten(0, 1), values.flatten(0, 1))
        return output.view(*self.query.shape[:2], bottom - top, values.shape[-1]).to(self.dtype)

    def _by_group(self, rows: torch.Tensor) -> torch.Tensor:
        # ``(B, H_q, rows, X) -> (B, H_kv, group * rows, X)``: grouped queries without copying keys.
        return rows.reshape(rows.shape[0], self.key.shape[1], -1, rows.shape[-1])


def _scaled_product(query: torch.Tensor, key: torch.Tensor, scale: float) -> torch.Tensor:
    """``scale * query @ key^T``, ``(B * H_kv, rows, keys)``, accumulated and returned in float32."""
    rows, columns = query.flatten(0, 1), key.flatten(0, 1).transpose(1, 2)
    if rows.dtype == torch.float32:
        return torch.baddbmm(rows.new_empty(1), rows, columns, beta=0, alpha=scale)
    return torch.bmm(rows, columns, out_dtype=torch.float32).mul_(scale)


def _padding_bias(real: torch.Tensor | None) -> torch.Tensor | None:
    if real is None:
        return None
    return torch.zeros(real.shape, device=real.device).masked_fill(~real, float("-inf"))[:, None, None]


def _by_query_head(per_key_head: torch.Tensor, n_heads: int) -> torch.Tensor:
    return per_key_head.repeat_interleave(n_heads // per_key_head.shape[1], dim=1)


def _merge(
    output: torch.Tensor, lse: torch.Tensor, past_output: torch.Tensor, past_lse: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Join attention over two sets of keys, each output weighted by its share of the normaliser."""
    joint = torch.logaddexp(lse, past_lse)
    weight = torch.exp(lse - joint).nan_to_num_(0)[..., None]
    past_weight = torch.exp(past_lse - joint).nan_to_num_(0)[..., None]
    return (output * weight + past_output * past_weight).to(output.dtype), joint
