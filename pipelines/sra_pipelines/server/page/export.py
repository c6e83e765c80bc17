"""Answers and conversations as Markdown, with their sources."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sra_pipelines.answering.answers import Answer
from sra_pipelines.checks.citations import Citation
from sra_pipelines.server.page.answer_parts import answer_parts, settings_text
from sra_pipelines.server.page.turns import Column, Turn

__all__ = ["answer_markdown", "conversation_markdown"]

_MARKUP = re.compile(r"([\\`*_\[\]<>#|~])")


def answer_markdown(answer: Answer) -> str:
    """Return the text of an answer with numbered citations, and its sources as a list."""
    text = ""
    for part in answer_parts(answer):
        if part.kind == "citation":
            text += f" \\[{part.number}\\]"
        else:
            text += _escaped(part.text) + (" (not in the passages)" if part.kind == "unsupported" else "")
    lines = [text.strip() or "(The model wrote nothing.)"]
    if answer.abstained is not None:
        lines.insert(0, f"**Not an answer** ({answer.abstained}).")
    if answer.citations:
        lines.append("\n".join(f"{number}. {_source(c)}" for number, c in enumerate(answer.citations, start=1)))
    return "\n\n".join(lines)


def conversation_markdown(turns: Iterable[Turn]) -> str:
    """Return the questions and answers of a conversation, with sources and settings."""
    parts = ["# Conversation"]
    for turn in turns:
        parts.append(f"## {_escaped(' '.join(turn.question.split()))}")
        for column in turn.columns:
            if len(turn.columns) > 1:
                parts.append(f"### {settings_text(column.sra)}")
            parts.append(_column(column))
            if len(turn.columns) == 1:
                parts.append(f"*{settings_text(column.sra)}*")
        if turn.error:
            parts.append(f"*Failed: {_escaped(turn.error)}*")
        elif turn.stopped:
            parts.append("*Stopped before it was complete.*")
    return "\n\n".join(parts) + "\n"


def _column(column: Column) -> str:
    return answer_markdown(column.answer) if column.answer is not None else _escaped(column.text)


def _source(citation: Citation) -> str:
    quote = " ".join(citation.quote.split())
    return f"{_escaped(str(citation))}: \u201c{_escaped(quote)}\u201d"


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)
