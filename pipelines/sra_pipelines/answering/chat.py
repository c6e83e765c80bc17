"""A conversation about documents: follow-up questions that need it are rewritten before retrieval."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from sra_pipelines.answering.answers import Answer, Retrieval
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.answering.follow_ups import is_complete, keeps_the_question
from sra_rag.config import SRALike
from sra_rag.errors import ConfigError, GenerationTimeoutError
from sra_rag.generation.request import Cancellation

__all__ = ["Chat"]

_REWRITE = (
    "Below are a conversation and a follow-up question. Write the question so that it can be understood without the "
    "conversation: put names and things in the place of words that point back. Write the question and nothing else."
    "\n\n{conversation}\n\nFollow-up question: {question}"
)
_LONGEST_REWRITE = 64  # tokens
_ANSWER_SHOWN = 300  # characters of each earlier answer in the rewriting prompt


class Chat:
    """A conversation over one index: a sequence of questions and answers.

    Parameters
    ----------
    qa
        Pipeline that answers each question.
    memory_tokens
        Maximum number of tokens of earlier turns that are kept; the oldest turns are dropped first.
    history
        Earlier turns as (question, answer). The question is empty if the assistant spoke first.
    rewrite_timeout
        Time limit in seconds for rewriting a follow-up question, independent of the limit for the answer; None for no
        limit.

    Raises
    ------
    ConfigError
        If `memory_tokens` or `rewrite_timeout` is not positive.
    """

    def __init__(
        self,
        qa: DocumentQA,
        *,
        memory_tokens: int = 1000,
        history: Sequence[tuple[str, str]] = (),
        rewrite_timeout: float | None = 30.0,
    ) -> None:
        if memory_tokens < 1:
            raise ConfigError(f"memory_tokens={memory_tokens} is not allowed: it must be at least 1.")
        if rewrite_timeout is not None and rewrite_timeout <= 0:
            raise ConfigError(f"rewrite_timeout={rewrite_timeout} is not allowed: it must be above 0, or None.")
        self.qa = qa
        self._rewrite_timeout = rewrite_timeout
        self._memory_tokens = memory_tokens
        self._turns: list[tuple[str, str]] = []
        for question, answer in history:
            self._remember(question, answer)

    @property
    def history(self) -> list[tuple[str, str]]:
        """The turns that are kept, oldest first."""
        return list(self._turns)

    def reset(self) -> None:
        """Clear the conversation."""
        self._turns.clear()

    def ask(self, question: str, *, sra: SRALike = None, **changes: Any) -> Answer:
        """Answer the next question; see `DocumentQA.ask`."""
        *_, last = self.stream(question, sra=sra, **changes)
        if not isinstance(last, Answer):  # pragma: no cover - stream always ends with an Answer
            raise TypeError(f"The stream ended with {last!r} instead of an answer.")
        return last

    def retrieve(
        self, question: str, *, cancel: Cancellation | None = None, max_new_tokens: int | None = None
    ) -> Retrieval:
        """Rewrite the next question as a standalone question and retrieve passages; see `DocumentQA.retrieve`."""
        return self.qa.retrieve(self.standalone(question, cancel), max_new_tokens=max_new_tokens)

    def stream(
        self, question: str, *, found: Retrieval | None = None, sra: SRALike = None, **changes: Any
    ) -> Generator[str | Answer, None, None]:
        """Answer the next question piece by piece. Only a completed answer is added to the history.

        `found` may be the result of `retrieve` for the question.
        """
        if found is None:
            found = self.retrieve(question, cancel=changes.get("cancel"), max_new_tokens=changes.get("max_new_tokens"))
        for piece in self.qa.stream(found, sra=sra, **changes):
            if isinstance(piece, Answer):
                self._remember(question, piece.text)
            yield piece

    def standalone(self, question: str, cancel: Cancellation | None = None) -> str:
        """Return a question that can be understood without the conversation.

        A question that is complete is returned as it is. Otherwise the model rewrites it. If its output cannot be used
        (not a question, several lines, a name of the follow-up is missing, or a name was added that the conversation
        does not have), or takes longer than `rewrite_timeout`, the previous question followed by this one is returned.
        """
        turns = self.history
        if not turns or is_complete(question):
            return question
        rewritten = self.rewrite(question, cancel)
        conversation = "\n".join(f"{q}\n{a}" for q, a in turns)
        if rewritten is not None and keeps_the_question(rewritten, question, conversation):
            return rewritten
        return f"{turns[-1][0]} {question}".strip()

    def rewrite(self, question: str, cancel: Cancellation | None = None) -> str | None:
        """Return a follow-up question as the model rewrites it; None if its output is not one question, or too late."""
        conversation = "\n".join(
            f"Question: {q}\nAnswer: {a[:_ANSWER_SHOWN]}" if q else f"Assistant: {a[:_ANSWER_SHOWN]}"
            for q, a in self.history
        )
        prompt = _REWRITE.format(conversation=conversation, question=question)
        try:
            written = self.qa.engine.generate(
                [{"role": "user", "content": prompt}], sra=None, temperature=0.0, max_new_tokens=_LONGEST_REWRITE,
                cancel=cancel, timeout=self._rewrite_timeout,
            )  # fmt: skip
        except GenerationTimeoutError:
            return None
        rewritten = written.text.strip().removeprefix("Follow-up question:").strip()
        usable = written.finish_reason == "stop" and rewritten.endswith("?") and "\n" not in rewritten
        return rewritten if usable else None

    def _remember(self, question: str, answer: str) -> None:
        self._turns.append((question, answer))
        sizes = [len(self.qa.engine.encode(f"{q}\n{a}").token_ids) for q, a in self._turns]
        while sum(sizes) > self._memory_tokens:
            del self._turns[0], sizes[0]
