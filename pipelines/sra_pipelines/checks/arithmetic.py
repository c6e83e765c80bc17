"""Compute what a question asks for: code finds the amounts, or the model names them and code verifies them."""

from __future__ import annotations

import json
from typing import Any

from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.checks.asked_amounts import asked_amounts
from sra_pipelines.checks.calculations import Calculation, Operation, asked_operation, calculate, find_operand
from sra_rag.config import SRAConfig
from sra_rag.generation.engine_protocol import EngineProtocol

__all__ = ["computed"]

_REQUEST = (
    "\n\nDo not answer the question. Write as JSON which figures of the passages are needed to compute the {operation} "
    "that it asks for: of each its label with the period, and the figure as it stands in the passage. Of a difference "
    "or growth the earlier figure comes first, of a ratio the dividend. If nothing is to be computed, the operation is "
    "none."
)
_NONE = "none"
_OPERAND = {
    "type": "object",
    "properties": {"label": {"type": "string", "maxLength": 80}, "figure": {"type": "string", "maxLength": 24}},
    "required": ["label", "figure"],
    "additionalProperties": False,
}
_LONGEST = 256  # tokens


def computed(engine: EngineProtocol, retrieval: Retrieval, sra: SRAConfig | None, **limits: Any) -> Calculation | None:
    """Compute what a question asks for, from amounts in its passages.

    The amounts are first searched by the words of the question. Only if the result is ambiguous, the model is asked for
    them, with its output constrained to JSON.

    Parameters
    ----------
    engine
        The model. It only names the amounts, and does not compute.
    retrieval
        The question and its passages.
    sra
        Attention settings.
    **limits
        ``cancel`` and ``timeout`` of the request.

    Returns
    -------
    calculation
        None if the question does not ask for arithmetic, if the model reports that nothing is to be computed, or if an
        amount that it names is not in a line of the passages together with the words of its label.
    """
    operation = asked_operation(retrieval.question)
    if operation is None or not retrieval.passages:
        return None
    if (certain := asked_amounts(retrieval.question, operation, retrieval.passages)) and (
        calculation := calculate(operation, certain)
    ):
        return calculation
    messages = retrieval.messages()
    messages[-1] = {**messages[-1], "content": messages[-1]["content"] + _REQUEST.format(operation=operation)}
    written = engine.generate(
        messages,
        context=retrieval.context,
        sra=sra,
        json_schema=_schema(operation),
        temperature=0.0,
        max_new_tokens=min(_LONGEST, engine.context_window // 4),
        **limits,
    )
    try:
        request = json.loads(written.text)
        operands = [
            find_operand(operand["label"], operand["figure"], retrieval.passages) for operand in request["operands"]
        ]
    except (ValueError, KeyError, TypeError):  # incomplete JSON: cancelled, or truncated by a server
        return None
    verified = [operand for operand in operands if operand is not None]
    if request["operation"] == _NONE or len(verified) < len(operands):
        return None
    return calculate(operation, verified)


def _schema(operation: Operation) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "operation": {"type": "string", "enum": [operation, _NONE]},
            "operands": {"type": "array", "minItems": 2, "maxItems": 4, "items": _OPERAND},
        },
        "required": ["operation", "operands"],
        "additionalProperties": False,
    }
