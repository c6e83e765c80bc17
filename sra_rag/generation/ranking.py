"""Rank passages by where the model's own evidence heads look while it reads the question.

One prompt holds all passages and the question. The passages are read once, into a key/value cache; the rows of the
question are read with the heads observed (`sra_rag.evidence.choice`), and a passage's score is its share of
their attention. Nothing of the model is changed.

Passages that do not fit one prompt are ranked in groups, and the best of each group again together. In a softmax
the ratio of two weights does not depend on the other keys, so the ratios within a group are kept, and the groups are
brought to one scale by what their best passages get in the common prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError

import torch

from sra_rag.attention.look import mean_shares
from sra_rag.attention.reattend import reattend
from sra_rag.errors import ConfigError, ContextOverflowError, PromptError
from sra_rag.evidence.choice import look_at_context
from sra_rag.evidence_config import EvidenceConfig, HeadChoice
from sra_rag.generation.engine import PREFILL_CHUNK, Engine
from sra_rag.generation.prefix_cache import cache_argument, dependence
from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.generation.request import Cancellation
from sra_rag.heads.head_search import encode_question
from sra_rag.heads.known import chosen_heads, measured_settings
from sra_rag.models.device_memory import clear_memory_errors

__all__ = ["rank_passages"]

_MARGIN = 16  # tokens: a passage may become a few more tokens in another prompt
_TINY = torch.finfo(torch.float64).tiny


def rank_passages(
    engine: Engine,
    question: str,
    passages: Sequence[str],
    *,
    heads: HeadChoice | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Cancellation | None = None,
) -> list[float]:
    """Score passages by how much the model's evidence heads look at them while it reads a question.

    Parameters
    ----------
    engine
        The model; its evidence heads are found if they are not known yet. Settings of its attention do not count.
    question
        The question.
    passages
        Texts, in any order; each is read as plain text, spellings of control tokens too.
    heads
        Which query heads look: the number of the model's best evidence heads, pairs ``(layer, head)``, or ``"all"``;
        by default those measured for the model.
    progress
        Called after each part of a prompt with the tokens read so far and the tokens known to be read in all. The
        second number grows with each further round where passages do not fit one prompt.
    cancel
        Ends the work before the next part of a prompt (at most 1,024 tokens) when it is set.

    Returns
    -------
    scores
        One per passage, in the order given, each in [0, 1]; their sum is 1. A single passage gets 1 and is not read.

    Raises
    ------
    PromptError
        If the question is empty.
    ConfigError
        If `passages` is a single text, or the model does not have `heads`.
    ContextOverflowError
        If the two longest passages do not fit one prompt.
    CancelledError
        Of `concurrent.futures`, if `cancel` was set.
    OutOfMemoryError
        If memory does not suffice.
    """
    if isinstance(passages, str):
        raise ConfigError("passages is a single text. Give a list of texts, one for each passage.")
    if not question.strip():
        raise PromptError("The question is empty. Give the question that the passages are ranked for.")
    if len(passages) < 2:
        return [1.0] * len(passages)
    if heads is None:
        choice = (measured_settings(engine.loaded).evidence or EvidenceConfig()).look
    else:
        choice = EvidenceConfig(look=heads).look
    ranking = _Ranking(engine, question, passages, chosen_heads(engine.loaded, choice), progress, cancel)
    return ranking.scores(list(range(len(passages))))


class _Ranking:
    """One call of `rank_passages`; passages go by their number."""

    def __init__(
        self,
        engine: Engine,
        question: str,
        passages: Sequence[str],
        heads: Sequence[tuple[int, int]] | None,
        progress: Callable[[int, int], None] | None,
        cancel: Cancellation | None,
    ) -> None:
        self.engine = engine
        self.question = question
        self.passages = passages
        self.heads = heads
        self.progress = progress
        self.cancel = cancel
        self.tokens_read = 0
        self.tokens_known = 0
        self.all_in_one = self._encode(range(len(passages)))
        starts = [first for first, _ in self.all_in_one.passages]
        ends = [*starts[1:], self.all_in_one.passages[-1][1]]
        self.lengths = [end - start for start, end in zip(starts, ends, strict=True)]
        self.around = len(self.all_in_one.token_ids) - sum(self.lengths)

    def scores(self, numbers: list[int]) -> list[float]:
        """Score some of the passages; the sum is 1."""
        if self._fits(numbers):
            [prompt] = self._prompts([numbers])
            return self._shares(prompt, keep=len(numbers) == len(self.passages))
        groups = self._groups(numbers)
        shares = [self._shares(prompt) for prompt in self._prompts(groups)]
        best = self._best(groups, shares)
        # Positions within `numbers`, so that the best keep the order of the passages.
        together = [number for number in numbers if number in {n for group in best for n in group}]
        final = dict(zip(together, self.scores(together), strict=True))
        scored: dict[int, float] = {}
        for group, of_group, winners in zip(groups, shares, best, strict=True):
            known = dict(zip(group, of_group, strict=True))
            scale = sum(final[number] for number in winners) / max(_TINY, sum(known[number] for number in winners))
            scored |= {number: final.get(number, share * scale) for number, share in known.items()}
        total = sum(scored.values())
        return [scored[number] / total for number in numbers]

    def _encode(self, numbers: Sequence[int]) -> EncodedPrompt:
        return encode_question(self.engine.encoder, self.question, [self.passages[number] for number in numbers])

    def _fits(self, numbers: Sequence[int]) -> bool:
        if len(numbers) == len(self.passages):
            return len(self.all_in_one.token_ids) <= self.engine.context_window
        length = self.around + _MARGIN + sum(self.lengths[number] for number in numbers)
        return length <= self.engine.context_window

    def _groups(self, numbers: list[int]) -> list[list[int]]:
        """Divide into groups that fit, of about the same length; each has two or more passages, but for the last."""
        longest = sorted(numbers, key=lambda number: self.lengths[number])[-2:]
        if not self._fits(longest):
            tokens = self.around + _MARGIN + sum(self.lengths[number] for number in longest)
            raise ContextOverflowError(tokens, 0, self.engine.context_window)
        total = sum(self.lengths[number] for number in numbers)
        even = total / math.ceil(total / (self.engine.context_window - self.around - _MARGIN))
        groups = [[numbers[0]]]
        for number in numbers[1:]:
            group = groups[-1]
            length = sum(self.lengths[other] for other in group) + self.lengths[number] / 2
            if not self._fits([*group, number]) or (len(group) >= 2 and length > even):
                groups.append([number])
            else:
                group.append(number)
        return groups

    def _best(self, groups: list[list[int]], shares: list[list[float]]) -> list[list[int]]:
        """Choose the best passages of each group: as many as fit one prompt together, at least one."""
        ranked = [
            [number for _, number in sorted(zip(of_group, group, strict=True), key=lambda pair: -pair[0])]
            for group, of_group in zip(groups, shares, strict=True)
        ]
        count = max(1, max(map(len, groups)) // 2)
        while count > 1 and not self._fits([number for group in ranked for number in group[:count]]):
            count -= 1
        return [group[:count] for group in ranked]

    def _prompts(self, groups: Sequence[Sequence[int]]) -> list[EncodedPrompt]:
        whole = len(self.passages)
        prompts = [self.all_in_one if len(group) == whole else self._encode(group) for group in groups]
        self.tokens_known += sum(len(prompt.token_ids) for prompt in prompts)
        return prompts

    @torch.inference_mode()
    def _shares(self, prompt: EncodedPrompt, *, keep: bool = False) -> list[float]:
        """Return the share of each passage of a prompt; each head counts equally."""
        engine, model = self.engine, self.engine.loaded.model
        length = len(prompt.token_ids)
        if length > engine.context_window:
            raise ContextOverflowError(length, 0, engine.context_window)
        context = list(prompt.token_ids[: prompt.context_length])
        untouched, settings = dependence(None, prompt.context_length, length)
        cache, start = engine.prefixes.take(
            prompt.token_ids[: prompt.context_length + 1], untouched, settings, model.config
        )
        self._report(start)
        with clear_memory_errors(engine.loaded.device, 1, length), reattend(model, None):
            while start < len(context):
                self._check()
                chunk = torch.tensor([context[start : start + PREFILL_CHUNK]], device=engine.loaded.device)
                model(input_ids=chunk, use_cache=True, logits_to_keep=1, **cache_argument(model, cache))
                start += chunk.shape[1]
                self._report(chunk.shape[1])
            self._check()
            look = look_at_context(model, cache, prompt, self.heads, prompt.passages).shares()
        if keep:  # only where it is the whole: the prefills of groups would take the place of others
            engine.prefixes.put(context, untouched, settings, cache)
        self._report(length - len(context))
        return mean_shares(look).tolist()

    def _check(self) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise CancelledError("The ranking was cancelled.")

    def _report(self, tokens: int) -> None:
        self.tokens_read += tokens
        if self.progress is not None and tokens:
            self.progress(self.tokens_read, self.tokens_known)
