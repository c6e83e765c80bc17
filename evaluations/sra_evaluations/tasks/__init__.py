"""Tasks: questions with contexts and gold answers, each in its own file.

A task is a frozen dataclass whose fields are its options, with a `name` and a method `examples`. See
docs/evaluation.md for how to add one.
"""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import ClassVar, Protocol

from sra_evaluations.examples import Example
from sra_evaluations.tasks.conflicting import Conflicting
from sra_evaluations.tasks.documents import DocumentQuestions
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.hub import HubQuestions
from sra_evaluations.tasks.key_value import KeyValue
from sra_evaluations.tasks.multi_document import MultiDocument
from sra_evaluations.tasks.needle import Needle
from sra_evaluations.tasks.open_question import OpenQuestion
from sra_evaluations.tasks.own import OwnQuestions
from sra_evaluations.tasks.plain_text import PlainText
from sra_evaluations.tasks.two_passages import TwoPassages
from sra_evaluations.tasks.variables import Variables
from sra_rag.errors import ConfigError

__all__ = ["Task", "load_task", "task_names", "task_options"]


class Task(Protocol):
    """What every task can do."""

    name: ClassVar[str]

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Return at most `count` examples, the same for the same seed, options and tokenizer."""
        ...


_TASKS = {
    task.name: task
    for task in (
        Needle,
        MultiDocument,
        KeyValue,
        Variables,
        Conflicting,
        TwoPassages,
        OpenQuestion,
        DocumentQuestions,
        OwnQuestions,
        PlainText,
        HubQuestions,
    )
}


def task_names() -> list[str]:
    """Return the names that `load_task` knows."""
    return list(_TASKS)


def task_options() -> dict[str, list[str]]:
    """Return the options of each task."""
    return {name: [field.name for field in dataclasses.fields(task)] for name, task in _TASKS.items()}


def load_task(text: str) -> Task:
    """Make a task from how it is written on the command line.

    Parameters
    ----------
    text
        ``name``, ``name:option=value,option=value``, or the path of a JSONL file of your own questions.

    Raises
    ------
    ConfigError
        If there is no such task or option, or a value is not allowed.
    """
    name, _, written = text.partition(":")
    if name not in _TASKS:
        if Path(text).suffix in {".jsonl", ".gz"}:
            return OwnQuestions(Path(text))
        raise ConfigError(
            f"There is no task {name!r}. Use one of {', '.join(_TASKS)}, or the path of a .jsonl file of your own."
        )
    task = _TASKS[name]
    hints = typing.get_type_hints(task)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(task)}
    options: dict[str, object] = {}
    for part in filter(None, written.split(",")):
        key, equals, value = part.partition("=")
        if key not in fields or not equals:
            raise ConfigError(f"{part!r} is no option of {name}; it has {', '.join(fields)}, each as option=value.")
        options[key] = _read(value, fields[key], f"{name}: {key}")
    return task(**options)  # type: ignore[arg-type]


_KINDS = {bool: "true or false", int: "a whole number", float: "a number"}


def _read(value: str, hint: object, what: str) -> object:
    kinds = typing.get_args(hint) if typing.get_origin(hint) not in (None, typing.Literal) else (hint,)
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    for kind in kinds:
        try:
            if kind is bool:
                return {"true": True, "false": False}[value.lower()]
            if kind in (int, float, Path):
                return kind(value)
            if kind is str or typing.get_origin(kind) is typing.Literal:
                return value
        except (KeyError, ValueError):
            continue
    raise ConfigError(f"{what}={value!r} is not allowed: it is {' or '.join(_KINDS[kind] for kind in kinds)}.")
