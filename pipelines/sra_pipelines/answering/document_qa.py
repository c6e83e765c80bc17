"""Answer questions from documents: retrieve, pack, ask the model, cite."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sra_pipelines.answering.answers import Answer, Retrieval, nothing_found, passage_evidence
from sra_pipelines.answering.line_breaks import LineJoiner, join_lines
from sra_pipelines.answering.measured_models import default_context_tokens
from sra_pipelines.checks.abstention import SENTENCE, abstains
from sra_pipelines.checks.citations import Citation, cite
from sra_pipelines.checks.grounding import is_grounded
from sra_pipelines.checks.relevance import Relevance, has_measured_cosines, measure_relevance
from sra_pipelines.checks.run_checks import run_checks
from sra_pipelines.checks.support import check_support
from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.metrics.asked_metric import needed_rows
from sra_pipelines.presets import Preset, load_preset
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.unicode_forms import composed
from sra_rag.attention.shares import AttentionShares
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError, ContextOverflowError, require_extra
from sra_rag.generation.bridge import iterate_in_thread
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.request import LinkedCancellation
from sra_rag.generation.result import Generation
from sra_rag.generation.text import well_formed

__all__ = ["DocumentQA", "NoPassageFitsError", "NoRoomError"]

_COUNTED = 8192  # texts whose number of tokens is remembered, some 10 MB


class NoRoomError(ContextOverflowError, ConfigError):
    """The question leaves no room for passages in the context window."""

    def __init__(self, prompt_tokens: int, max_new_tokens: int, context_window: int) -> None:
        super().__init__(prompt_tokens, max_new_tokens, context_window)
        self.args = (
            f"The question leaves no room for passages: with its instruction it has {prompt_tokens} tokens and up to "
            f"{max_new_tokens} are to be generated, but the model's window holds {context_window}. Shorten it, or "
            "decrease max_new_tokens.",
        )


class NoPassageFitsError(ConfigError):
    """The prompt has room for fewer tokens than each of the best passages has.

    Parameters
    ----------
    budget
        Number of tokens of passages that the prompt may have.
    least
        Number of tokens that the shortest passage needs.
    context_tokens
        The limit that was set; None if the context window of the model leaves no more.
    """

    def __init__(self, budget: int, least: int, context_tokens: int | None) -> None:
        step = "Use a model with a larger context window, or decrease max_new_tokens."
        if context_tokens is not None:
            step = f"Give context_tokens of at least {least}."
        super().__init__(
            f"No passage fits into the prompt: the shortest of the best ones has {least} tokens, and there is room for "
            f"{budget}. {step}"
        )


class DocumentQA:
    """Question answering over one index with one model.

    Parameters
    ----------
    index
        Index of the documents.
    engine
        The model: an `Engine` in this process, or an engine for a model on a server.
    context_tokens
        Maximum number of tokens of passages in a prompt. By default the value of the preset, or if it has none, the
        measured value of the model (see `default_context_tokens`) or 6,000, as far as the context window allows.
    retriever
        Searches the index; by default a `Retriever` that fuses dense and keyword search.
    preset
        Prompt, retrieval and checks for a kind of document: the name of a preset, or the path of a preset file; see
        `load_preset`.

    Raises
    ------
    ConfigError
        If `context_tokens` is less than 1.
    MissingExtraError
        If the preset requires a package that is not installed.
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
        # A server constrains the output to JSON itself.
        if "arithmetic" in self.preset.checks and engine.loaded is not None:
            require_extra(f"The preset {self.preset.name!r}", "structured", "xgrammar")
        self.retriever = retriever or Retriever(
            index, order=self.preset.order, whole_pages=self.preset.whole_pages, vocabulary=self.preset.vocabulary
        )
        self.engine = engine
        self._token_counts = lru_cache(_COUNTED)(partial(_count_tokens, engine))
        context_tokens = context_tokens if context_tokens is not None else self.preset.context_tokens
        if context_tokens is not None and context_tokens < 1:
            raise ConfigError(f"context_tokens={context_tokens} is not allowed: it must be at least 1.")
        self.context_tokens = context_tokens

    def retrieve(self, question: str, *, max_new_tokens: int | None = None, system_message: str = "") -> Retrieval:
        """Retrieve passages for a question, as many as fit in the prompt.

        Parameters
        ----------
        question
            The question.
        max_new_tokens
            Maximum number of tokens of the answer; by default that of the engine.
        system_message
            Further instructions for the answer, which precede those of the preset.

        Raises
        ------
        ConfigError
            If the question is empty.
        NoRoomError
            If it leaves no room for passages.
        NoPassageFitsError
            If passages are found, and none of them fits.
        """
        question = well_formed(question)
        if not question.strip():
            raise ConfigError("The question is empty. Give a question.")
        question = composed(question)
        parts = [well_formed(system_message).strip(), self.preset.instruction]
        instruction = "\n\n".join(filter(None, parts))
        budget = self._budget(question, instruction, max_new_tokens or self.engine.options.max_new_tokens)
        computes = "arithmetic" in self.preset.checks
        needed = needed_rows(question, self.preset.metrics) if computes else None
        found = self.retriever.retrieve_expanded(question, budget, self.count_tokens, needed)
        if found.least is not None:
            raise NoPassageFitsError(budget, found.least, self.context_tokens)
        return Retrieval(
            question,
            tuple(found.passages),
            format_passages(found.passages),
            instruction,
            found.expansion,
            found.closest,
            tuple(found.statements),
            tuple(found.ranks),
        )

    def ask(self, question: str | Retrieval, *, sra: SRALike = None, attention: bool = False, **changes: Any) -> Answer:
        """Answer a question.

        Parameters
        ----------
        question
            A question, or the result of `retrieve` for a question.
        sra
            Attention settings, such as ``"evidence"``; None for off.
        attention
            Whether to record which passages the answer attended to. Not available for a model on a server.
        **changes
            Generation options that override those of the engine, such as ``max_new_tokens``.
        """
        *_, last = self.stream(question, sra=sra, attention=attention, **changes)
        if not isinstance(last, Answer):  # pragma: no cover - stream always ends with an Answer
            raise TypeError(f"The stream ended with {last!r} instead of an answer.")
        return last

    def stream(
        self, question: str | Retrieval, *, sra: SRALike = None, attention: bool = False, **changes: Any
    ) -> Generator[str | Answer, None, None]:
        """Answer a question piece by piece: yield pieces of text, then the complete `Answer`."""
        retrieval = question
        if isinstance(retrieval, str):
            retrieval = self.retrieve(retrieval, max_new_tokens=changes.get("max_new_tokens"))
        if not retrieval.passages and changes.get("json_schema") is None:  # a sentence would not follow a schema
            yield SENTENCE
            yield nothing_found(retrieval.question, SRAConfig.coerce(sra))
            return
        shares = self._shares(retrieval) if attention else None
        texts = retrieval.passage_texts()
        lines = LineJoiner()
        options = changes | self._stops([retrieval], changes)
        for delta in self.engine.stream(
            retrieval.messages(), context=retrieval.context, passages=texts, passage_scores=retrieval.passage_scores(),
            sra=sra, shares=shares, **options,
        ):  # fmt: skip
            text = lines.add(delta.text) + (lines.finish() if delta.generation is not None else "")
            if text:
                yield text
            if delta.generation is not None:
                yield self._answer(retrieval, delta.generation, shares, **_limits(changes))

    def conclude(self, retrieval: Retrieval, generation: Generation | None) -> Answer:
        """Build an answer from the output of a model for the prompt of `retrieval`; None if the model was not run."""
        if generation is None:
            return nothing_found(retrieval.question, None)
        return self._answer(retrieval, generation, None)

    async def aask(self, question: str | Retrieval, *, sra: SRALike = None, **changes: Any) -> Answer:
        """Async version of `ask`. It does not block the event loop, and cancelling the task stops the generation."""
        async with aclosing(self.astream(question, sra=sra, **changes)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    return piece
        raise RuntimeError(
            "The stream ended without an answer."
        )  # pragma: no cover - stream always ends with an Answer

    async def astream(
        self, question: str | Retrieval, *, sra: SRALike = None, **changes: Any
    ) -> AsyncGenerator[str | Answer, None]:
        """Async version of `stream`; it does not block the event loop."""
        cancel = LinkedCancellation(changes.pop("cancel", None))
        make = partial(self.stream, question, sra=sra, cancel=cancel, **changes)
        async with aclosing(iterate_in_thread(make, cancel)) as pieces:
            async for piece in pieces:
                yield piece

    def batch(
        self, questions: Sequence[str | Retrieval], *, sra: SRALike = None, batch_size: int = 4, **changes: Any
    ) -> list[Answer]:
        """Answer several questions, in batches of up to `batch_size`."""
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size} is not allowed: it must be at least 1.")
        max_new = changes.get("max_new_tokens")
        retrievals = [q if isinstance(q, Retrieval) else self.retrieve(q, max_new_tokens=max_new) for q in questions]
        has_schema = changes.get("json_schema") is not None  # a sentence would not follow a schema
        answered = [r for r in retrievals if r.passages or has_schema]
        answers = {id(r): nothing_found(r.question, SRAConfig.coerce(sra)) for r in retrievals if not r.passages}
        for start in range(0, len(answered), batch_size):
            group = answered[start : start + batch_size]
            generations = self.engine.generate_batch(
                [r.messages() for r in group],
                contexts=[r.context for r in group],
                passage_lists=[r.passage_texts() for r in group],
                score_lists=[r.passage_scores() for r in group],
                sra=sra,
                **changes | self._stops(group, changes),
            )
            for retrieval, generation in zip(group, generations, strict=True):
                answers[id(retrieval)] = self._answer(retrieval, generation, None, **_limits(changes))
        return [answers[id(r)] for r in retrievals]

    def compare(self, question: str | Retrieval, settings: Sequence[SRALike], **changes: Any) -> list[Answer]:
        """Answer a question with each of several attention settings, using the same prompt."""
        retrieval = question
        if isinstance(retrieval, str):
            retrieval = self.retrieve(retrieval, max_new_tokens=changes.get("max_new_tokens"))
        return [self.ask(retrieval, sra=sra, **changes) for sra in settings]

    def _stops(self, retrievals: Sequence[Retrieval], changes: dict[str, Any]) -> dict[str, Any]:
        """Return the generation options that end answers before the marks of their prompts.

        A server may allow a few texts only, and a text that follows a schema has no such marks.
        """
        if self.engine.loaded is None or changes.get("json_schema") is not None:
            return {}
        own = changes.get("stop", (changes.get("options") or self.engine.options).stop) or ()
        marks = [mark for retrieval in retrievals for mark in retrieval.marks()]
        return {"stop": tuple(dict.fromkeys([*([own] if isinstance(own, str) else own), *marks]))}

    def _budget(self, question: str, instruction: str, max_new_tokens: int) -> int:
        empty = self.engine.encode(Retrieval(question, (), "", instruction).messages())
        room = (
            self.engine.context_window - max_new_tokens - len(empty.token_ids) - 8
        )  # margin: joined parts may tokenize differently
        if room < 1:
            raise NoRoomError(len(empty.token_ids), max_new_tokens, self.engine.context_window)
        if self.context_tokens is None:
            budget = min(room, default_context_tokens(self.engine.name))
        elif self.context_tokens > room:
            raise ConfigError(
                f"context_tokens={self.context_tokens} is too large: the context window of "
                f"{self.engine.context_window} tokens leaves {room} for passages. Give at most that many."
            )
        else:
            budget = self.context_tokens
        return budget

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text; that of a passage is computed once for many questions."""
        return self._token_counts(text)

    def _answer(
        self, retrieval: Retrieval, generation: Generation, shares: AttentionShares | None, **limits: Any
    ) -> Answer:
        text = join_lines(generation.text.strip())
        supported = check_support(text, retrieval.question, retrieval.passages)
        abstained = abstains(text, supported) if retrieval.passages else "nothing found"
        has_sources = not abstained and is_grounded(retrieval.question, retrieval.passages, supported)
        pages = self.retriever.pages()
        evidence = passage_evidence(retrieval, generation.evidence)
        best_lines = {number: found.line for number, found in enumerate(evidence or ()) if found.weighed}
        citations = (
            cite(text, retrieval.question, retrieval.passages, pages, best_lines, supported) if has_sources else []
        )
        relevance = self._relevance(retrieval, citations)
        if relevance is not None and relevance.too_low:
            abstained, citations = "not about the question", []
        mean = None if shares is None else shares.mean()
        notes, calculation = run_checks(
            self.preset.checks, self.engine, retrieval, generation, citations, supported, pages,
            abstained=abstained is not None, metrics=self.preset.metrics, **limits,
        )  # fmt: skip
        return Answer(
            retrieval.question,
            text,
            tuple(citations),
            retrieval.passages,
            generation,
            supported,
            abstained,
            None if mean is None else tuple(mean.tolist()),
            calculation,
            notes,
            evidence,
            retrieval.expansion,
            relevance,
        )

    def _relevance(self, retrieval: Retrieval, citations: Sequence[Citation]) -> Relevance | None:
        if not citations:
            return None
        embedding = getattr(self.retriever.index, "embedding", None)  # another index may have none
        if not has_measured_cosines(getattr(embedding, "model_name", None)):
            embedding = None
        return measure_relevance(
            retrieval.question, retrieval.passages, citations, self.retriever.word_weights(retrieval.question),
            also=() if retrieval.expansion is None else retrieval.expansion.written,
            closest=None if embedding is None else retrieval.closest, embedding=embedding,
        )  # fmt: skip

    def _shares(self, retrieval: Retrieval) -> AttentionShares:
        """Map the tokens of the prompt to passages: those of a passage begin after the end of the previous passage."""
        messages = retrieval.messages()
        before = messages[0]["content"].index(retrieval.context)
        ends = [len(format_passages(retrieval.passages[:n])) for n in range(len(retrieval.passages) + 1)]
        encoded = [
            self.engine.encode(messages, context=messages[0]["content"][: before + end]) for end in ends
        ]  # fmt: skip
        lengths = [prompt.context_length for prompt in encoded]
        return AttentionShares(list(itertools.pairwise(lengths)), len(encoded[0].token_ids))


def _count_tokens(engine: EngineProtocol, text: str) -> int:
    return len(engine.encode(text).token_ids)


def _limits(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: changes[name] for name in ("cancel", "timeout") if name in changes}
