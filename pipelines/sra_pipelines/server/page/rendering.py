"""The templates of the page. Everything that is put into them is escaped; all markup is in the templates."""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sra_pipelines.server.page.answer_parts import answer_parts, evidence_bars, settings_text
from sra_pipelines.server.page.export import answer_markdown

__all__ = ["STATIC", "render"]

_HERE = Path(__file__).parent
STATIC = _HERE / "static"

_NOT_AN_ANSWER = {
    "nothing found": "No passage of the documents matches the question, so the model was not run. "
    "Use other words, or select other documents.",
    "model says so": "The model states that the documents do not answer the question.",
    "nothing supported": "No part of this text is in the passages. Do not rely on it.",
    "not about the question": "The lines that this text is taken from have little to do with the question. The "
    "documents probably do not answer it.",
}


def render(template: str, **values: object) -> str:
    """Render a template of the folder ``templates``.

    Parameters
    ----------
    template
        Name of the file.
    **values
        Variables of the template; each text is escaped.
    """
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"parts": answer_parts, "bars": evidence_bars, "markdown": answer_markdown}
    environment.filters |= {"settings_text": settings_text, "count": _count}
    environment.globals["not_an_answer"] = _NOT_AN_ANSWER
    return environment


def _count(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 page`` or ``1,200 pages``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
