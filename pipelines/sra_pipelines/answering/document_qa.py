"""Answer questions from documents: retrieve, pack, ask the model, cite."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from sra_pipelines.answering.answers import Answer, Retrieval, nothing_found, passage_evidence
from sra_pipelines.checks.abstention import SENTENCE, abstains
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.run_checks import run_checks
from sra_pipelines.checks.support import check_support
from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.presets import Preset, load_preset
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.retrieval.retriever import Retriever
from sra_rag.attention.shares import AttentionShares
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError, require_extra
from sra_rag.generation.bridge import iterate_in_thread
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.request import LinkedCancellation
from sra_rag.generation.result import Generation

__all__ = ["DocumentQA"]

_MOST_CONTEXT = 6000  # tokens; more is read only when it is asked for


class DocumentQA:
    """Questions and answers over one index with one model.

    Parameters
    ----------
    index
        The documents.
    engine
        The model: an `Engine` here, or one on a server.
    context_tokens
        Tokens of passages in a prompt; by default what the preset says, else what the model's window leaves, at most
        6,000.
    retriever
        Searches the index; by default one that fuses meaning and words.
    preset
        Prompt, retrieval and checks for a kind of document: a name, or a file of your own; see `load_preset`.

    Raises
    ------
    ConfigError
        If the model's window cannot hold so many.
    """

    def __init__(
        self,
        index: PassageIndex,
        engine: EngineProtocol,
        *,
        context_tokens: int | None = None,
        retriever: Retriever | None = None,
        preset: str | Path | Preset = "general",
    ) -> None:
        self.index = index
        self.preset = load_preset(preset)
        # A server holds the model to JSON by means of its own.
        if "arithmetic" in self.preset.checks and engine.loaded is not None:
            require_extra(f"The preset {self.preset.name!r}", "structured", "xgrammar")
        self.retriever = retriever or Retriever(index, order=self.preset.order, whole_pages=self.preset.whole_pages)
        self.engine = engine
        context_tokens = context_tokens if context_tokens is not None else self.preset.context_tokens
        if context_tokens is not None and context_tokens < 1:
            raise ConfigError(f"context_tokens={context_tokens} is not allowed: it must be at least 1.")
        self.context_tokens = context_tokens

    def retrieve(self, question: str, *, max_new_tokens: int | None = None) -> Retrieval:
        """Find passages for a question, as many as there is room for."""
        if not question.strip():
            raise ConfigError("The question is empty. Ask something.")
        budget = self._budget(question, max_new_tokens or self.engine.options.max_new_tokens)
        passages = tuple(self.retriever.retrieve(question, budget, self.count_tokens))
        return Retrieval(question, passages, format_passages(passages), self.preset.instruction)

    def ask(self, question: str | Retrieval, *, sra: SRALike = None, attention: bool = False, **changes: Any) -> Answer:
        """Answer a question.

        Parameters
        ----------
        question
            A question, or what `retrieve` found for one.
        sra
            Settings of the attention: ``"evidence"``, others, or None for off.
        attention
            Collect which passages the answer attended to; a model on a server does not tell.
        **changes
            Changed options of generation, such as ``max_new_tokens``.
        """
        *_, last = self.stream(question, sra=sra, attention=attention, **changes)
        if not isinstance(last, Answer):  # pragma: no cover - stream always ends with one
            raise TypeError(f"The stream ended with {last!r} instead of an answer.")
        return last

    def stream(
        self, question: str | Retrieval, *, sra: SRALike = None, attention: bool = False, **changes: Any
    ) -> Generator[str | Answer, None, None]:
        """Answer a question piece by piece: pieces of text, then the whole `Answer`."""
        found = question
        if isinstance(found, str):
            found = self.retrieve(found, max_new_tokens=changes.get("max_new_tokens"))
        if not found.passages:
            yield SENTENCE
            yield nothing_found(found.question, SRAConfig.coerce(sra))
            return
        shares = self._shares(found) if attention else None
        texts = found.passage_texts()
        for delta in self.engine.stream(
            found.messages(), context=found.context, passages=texts, sra=sra, shares=shares, **changes
        ):
            if delta.text:
                yield delta.text
            if delta.generation is not None:
                yield self._answer(found, delta.generation, shares, **_limits(changes))

    def conclude(self, found: Retrieval, generation: Generation | None) -> Answer:
        """Make an answer of what a model wrote for a prompt of `retrieve`; None where it was not asked."""
        if generation is None:
            return nothing_found(found.question, None)
        return self._answer(found, generation, None)

    async def aask(self, question: str | Retrieval, *, sra: SRALike = None, **changes: Any) -> Answer:
        """As `ask`; the event loop stays free, and cancelling the task ends the work."""
        async with aclosing(self.astream(question, sra=sra, **changes)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    return piece
        raise RuntimeError("The stream ended without an answer.")  # pragma: no cover - stream always ends with one

    async def astream(
        self, question: str | Retrieval, *, sra: SRALike = None, **changes: Any
    ) -> AsyncGenerator[str | Answer, None]:
        """As `stream`; the event loop stays free."""
        cancel = LinkedCancellation(changes.pop("cancel", None))
        make = partial(self.stream, question, sra=sra, cancel=cancel, **changes)
        async with aclosing(iterate_in_thread(make, cancel)) as pieces:
            async for piece in pieces:
                yield piece

    def batch(
        self, questions: Sequence[str | Retrieval], *, sra: SRALike = None, batch_size: int = 4, **changes: Any
    ) -> list[Answer]:
        """Answer several questions, up to `batch_size` of them in one pass of the model."""
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size} is not allowed: it must be at least 1.")
        room = changes.get("max_new_tokens")
        found = [q if isinstance(q, Retrieval) else self.retrieve(q, max_new_tokens=room) for q in questions]
        answers = {id(f): nothing_found(f.question, SRAConfig.coerce(sra)) for f in found if not f.passages}
        asked = [f for f in found if f.passages]
        for start in range(0, len(asked), batch_size):
            group = asked[start : start + batch_size]
            generations = self.engine.generate_batch(
                [f.messages() for f in group],
                contexts=[f.context for f in group],
                passage_lists=[f.passage_texts() for f in group],
                sra=sra,
                **changes,
            )
            for one, generation in zip(group, generations, strict=True):
                answers[id(one)] = self._answer(one, generation, None, **_limits(changes))
        return [answers[id(f)] for f in found]

    def compare(self, question: str | Retrieval, settings: Sequence[SRALike], **changes: Any) -> list[Answer]:
        """Answer one question with each of several settings; all see the same prompt."""
        found = question
        if isinstance(found, str):
            found = self.retrieve(found, max_new_tokens=changes.get("max_new_tokens"))
        return [self.ask(found, sra=sra, **changes) for sra in settings]

    def _budget(self, question: str, max_new_tokens: int) -> int:
        empty = self.engine.encode(Retrieval(question, (), "", self.preset.instruction).messages())
        room = self.engine.context_window - max_new_tokens - len(empty.token_ids) - 8  # seams tokenize apart
        if self.context_tokens is None:
            budget = min(room, _MOST_CONTEXT)
        elif self.context_tokens > room:
            raise ConfigError(
                f"context_tokens={self.context_tokens} does not fit: the model's window of "
                f"{self.engine.context_window} tokens leaves {max(0, room)} for passages. Give at most so many."
            )
        else:
            budget = self.context_tokens
        if budget < 1:
            raise ConfigError("The question leaves no room for passages. Ask a shorter one or lower max_new_tokens.")
        return budget

    def count_tokens(self, text: str) -> int:
        """Return how many of the model's tokens a text takes."""
        return len(self.engine.encode(text).token_ids)

    def _answer(
        self, found: Retrieval, generation: Generation, shares: AttentionShares | None, **limits: Any
    ) -> Answer:
        text = generation.text.strip()
        supported = check_support(text, found.question, found.passages)
        abstained = abstains(text, supported)
        citations = [] if abstained else cite(text, found.question, found.passages, self.retriever.pages())
        mean = None if shares is None else shares.mean()
        notes, calculation = run_checks(
            self.preset.checks, self.engine, found, generation, citations, supported, self.retriever.pages(),
            abstained=abstained is not None, **limits,
        )  # fmt: skip
        return Answer(
            found.question,
            text,
            tuple(citations),
            found.passages,
            generation,
            supported,
            abstained,
            None if mean is None else tuple(mean.tolist()),
            calculation,
            notes,
            passage_evidence(found, generation.evidence),
        )

    def _shares(self, found: Retrieval) -> AttentionShares:
        """Say which tokens of the prompt are whose: those of a passage begin behind the end of the one before it."""
        messages = found.messages()
        before = messages[0]["content"].index(found.context)
        ends = [len(format_passages(found.passages[:n])) for n in range(len(found.passages) + 1)]
        encoded = [
            self.engine.encode(messages, context=messages[0]["content"][: before + end]) for end in ends
        ]  # fmt: skip
        lengths = [prompt.context_length for prompt in encoded]
        return AttentionShares(list(itertools.pairwise(lengths)), len(encoded[0].token_ids))


def _limits(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: changes[name] for name in ("cancel", "timeout") if name in changes}
