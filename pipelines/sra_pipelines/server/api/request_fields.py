"""What the request bodies of the API share: unknown fields are rejected, neutral values accepted, text repaired."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from sra_pipelines.server.api.attention_field import AttentionField
from sra_rag.generation.text import well_formed

__all__ = [
    "AnyValue",
    "JSONSchema",
    "Request",
    "Seed",
    "Stops",
    "StrictModel",
    "Switch",
    "TokenLimit",
    "neutral_only",
    "not_supported",
    "null_for",
]

_DEEPEST = 100  # levels of nesting of a request
_SHOWN = 60  # characters of a value in a message

AnyValue = Any  # a field that does not change the answer, such as `user`; every value is accepted


def not_supported(what: str, hint: str) -> PydanticCustomError:
    """Return the error for a value that would change the answer and is not supported.

    Parameters
    ----------
    what
        The value, as in ``tools=[...]``; the message continues with "is not supported here".
    hint
        What is allowed, as a sentence.
    """
    # Braces would be taken for fields of the message.
    return PydanticCustomError("not_supported", "{what} is not supported here. {hint}", {"what": what, "hint": hint})


def neutral_only(*neutral: object) -> AfterValidator:
    """Return a validator for a field of OpenAI's API that is accepted only where it does not change the answer.

    Parameters
    ----------
    neutral
        Values that are accepted in addition to null.
    """

    def check(value: object) -> object:
        if value is None or any(_same(value, item) for item in neutral):
            return value
        allowed = ", ".join(json.dumps(item) for item in neutral)
        raise not_supported(_shown(value), f"Give {allowed + ' or ' if allowed else ''}null, or omit the field.")

    return AfterValidator(check)


def _same(value: object, neutral: object) -> bool:
    return isinstance(value, bool) == isinstance(neutral, bool) and value == neutral


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def null_for(*neutral: object) -> BeforeValidator:
    """Return a validator that reads values as null, with which clients switch an option off.

    Parameters
    ----------
    neutral
        The values, such as 0 for `min_p`.
    """
    return BeforeValidator(lambda value: None if any(_same(value, item) for item in neutral) else value)


Seed = Annotated[int | None, Field(ge=-(2**63), lt=2**64)]
TokenLimit = Annotated[int | None, Field(ge=1), null_for(-1, "-1")]  # -1 is "no limit" in llama.cpp and LM Studio
# Null stands for false, as in OpenAI's API.
Switch = Annotated[bool, BeforeValidator(lambda value: False if value is None else value)]
Stops = Annotated[
    list[Annotated[str, Field(min_length=1)]] | None,
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
]


class StrictModel(BaseModel):
    """A part of a request. Fields that it does not declare are rejected by name."""

    model_config = ConfigDict(extra="forbid")


class JSONSchema(StrictModel):
    """A JSON schema for an answer; `name`, `description` and `strict` do not change the answer."""

    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None

    def required_schema(self) -> dict[str, Any]:
        """Return the schema.

        Raises
        ------
        PydanticCustomError
            If it is missing.
        """
        if self.schema_ is None:
            raise PydanticCustomError(
                "missing_schema",
                "the schema is missing. Give a JSON schema as 'schema', or use the type 'json_object'",
            )
        return self.schema_


class Request(StrictModel):
    """A whole request body.

    Halves of surrogate pairs, which are no text, are replaced by U+FFFD in every string. Nesting is limited, so that no
    later step exceeds the recursion limit. NaN and infinite numbers, which JSON does not have, are rejected, because no
    response could repeat them.
    """

    sra: AttentionField = None

    @model_validator(mode="before")
    @classmethod
    def repair_text(cls, body: Any) -> Any:
        """Replace what is not valid Unicode, and reject what is not valid JSON."""
        return _repaired(body, ())


def _repaired(value: Any, within: tuple[str | int, ...]) -> Any:
    """Return a value in which every string is valid Unicode; `within` is its place in the body."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError(
            "not_finite", "Input should be a finite number, which JSON can express", {"within": within}
        )
    if not isinstance(value, Mapping | list):
        return value
    if len(within) == _DEEPEST:
        raise PydanticCustomError("too_deep", f"the request is nested more than {_DEEPEST} levels deep. Simplify it")
    if isinstance(value, Mapping):
        return {_repaired(key, within): _repaired(item, (*within, well_formed(key))) for key, item in value.items()}
    return [_repaired(item, (*within, number)) for number, item in enumerate(value)]
