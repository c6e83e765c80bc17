"""A request for an answer, independent of the route that received it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from sra_rag.config import SRAConfig
from sra_rag.errors import PromptError

__all__ = ["AnswerRequest", "DocumentQuestion", "Role"]

Role = Literal["system", "developer", "user", "assistant"]


@dataclasses.dataclass(frozen=True, slots=True)
class DocumentQuestion:
    """A conversation as a question about documents.

    Parameters
    ----------
    question
        The last message or messages of the user.
    history
        The turns before it as (question, answer), oldest first. The question of a turn is empty if the assistant spoke
        first.
    instruction
        The system messages; empty if there are none.
    """

    question: str
    history: tuple[tuple[str, str], ...]
    instruction: str


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A request for an answer.

    Parameters
    ----------
    model
        Name of the model: the one that answers from the documents, or the underlying language model.
    messages
        The conversation as (role, text).
    sra
        Attention settings; None is off.
    options
        Generation options, see `sra_rag.SamplingOptions`.
    """

    model: str
    messages: tuple[tuple[Role, str], ...]
    sra: SRAConfig | None
    options: Mapping[str, Any]

    def prompt(self) -> list[dict[str, str]]:
        """Return the messages for the underlying model."""
        return [{"role": "system" if role == "developer" else role, "content": text} for role, text in self.messages]

    def document_question(self) -> DocumentQuestion:
        """Return the conversation as a question about documents.

        Messages of the same role in a row are joined. No message is dropped.

        Raises
        ------
        PromptError
            If the last message is not one of the user.
        """
        instructions = [text for role, text in self.messages if role in ("system", "developer")]
        turns: list[tuple[list[str], list[str]]] = [([], [])]
        for role, text in self.messages:
            if role == "assistant":
                turns[-1][1].append(text)
            elif role == "user":
                if turns[-1][1]:
                    turns.append(([], []))
                turns[-1][0].append(text)
        questions, answers = turns.pop()
        if answers or not questions:
            raise PromptError("The last message is not a user message. Send the question last.")
        if not any(text.strip() for text in questions):
            raise PromptError("The question is empty. Give a question.")
        history = tuple(("\n".join(asked), "\n".join(answered)) for asked, answered in turns)
        return DocumentQuestion("\n".join(questions), history, "\n\n".join(filter(None, instructions)))
