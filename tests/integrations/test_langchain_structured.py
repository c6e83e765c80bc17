"""Structured output by constrained decoding: valid for every schema, independent of the model."""

import enum

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_sra import ChatSRAHuggingFace
from pydantic import BaseModel, Field, field_validator
from pydantic.v1 import BaseModel as BaseModelV1
from typing_extensions import TypedDict

from sra_rag.errors import ConfigError

pytestmark = pytest.mark.slow

TEXT = "The tenant Ann Berg, aged 33, pays 82,400 crowns a year."


class Currency(enum.Enum):
    CROWN = "crown"
    EURO = "euro"


class Rent(BaseModel):
    """What is paid."""

    amount: int = Field(ge=0, le=999_999)
    currency: Currency


class Section(BaseModel):
    title: str = Field(max_length=8)
    parts: list["Section"] = Field(default_factory=list, max_length=1)


class RentV1(BaseModelV1):
    """What is paid."""

    amount: int


class RentDict(TypedDict):
    """What is paid."""

    amount: int


class Impossible(BaseModel):
    amount: int

    @field_validator("amount")
    @classmethod
    def reject(cls, value):
        raise ValueError("no amount is right")


@pytest.fixture(scope="module")
def chat(tiny):
    return ChatSRAHuggingFace(engine=tiny, max_tokens=32)


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("schema", [Rent, RentV1])
def test_classes(chat, schema, method):
    rent = chat.with_structured_output(schema, method=method).invoke(TEXT)
    assert type(rent) is schema
    assert isinstance(rent.amount, int)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("schema", [RentDict, RentV1.schema(), {"name": "rent", "parameters": RentV1.schema()}])
def test_dicts(chat, schema, method):
    rent = chat.with_structured_output(schema, method=method).invoke(TEXT)
    assert rent.keys() == {"amount"}
    assert isinstance(rent["amount"], int)


def test_a_recursive_class(chat):
    assert isinstance(chat.with_structured_output(Section).invoke("Write sections.", max_tokens=30), Section)


def test_any_json(chat):
    assert chat.with_structured_output(method="json_mode").invoke("Write JSON.") is not Ellipsis


def test_response_format_in_the_form_of_openai(chat):
    response_format = {"type": "json_schema", "json_schema": {"name": "rent", "schema": Rent.model_json_schema()}}
    assert Rent.model_validate_json(chat.invoke(TEXT, response_format=response_format).content)
    with pytest.raises(ConfigError, match="response_format"):
        chat.invoke(TEXT, response_format={"type": "xml"})


async def test_streaming_and_async_calls_return_the_same_object(chat):
    structured = chat.with_structured_output(Rent)
    rent = structured.invoke(TEXT)
    assert list(structured.stream(TEXT))[-1] == rent
    assert await structured.ainvoke(TEXT) == rent
    assert [part async for part in structured.astream(TEXT)][-1] == rent
    assert structured.batch([TEXT, TEXT]) == [rent, rent]


def test_sampling_follows_the_schema(chat):
    structured = chat.with_structured_output(Rent)
    assert all(isinstance(structured.invoke(TEXT, temperature=5.0, seed=seed), Rent) for seed in range(2))


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_a_validator_that_rejects_the_answer_is_a_parsing_error(chat, method):
    with pytest.raises((OutputParserException, ValueError), match="no amount is right"):
        chat.with_structured_output(Impossible, method=method).invoke(TEXT)
    raw = chat.with_structured_output(Impossible, method=method, include_raw=True).invoke(TEXT)
    assert raw["parsed"] is None
    assert "no amount is right" in str(raw["parsing_error"])
    assert raw["raw"].usage_metadata["output_tokens"] > 0


def test_the_raw_message_is_returned_with_the_object(chat):
    result = chat.with_structured_output(Rent, include_raw=True).invoke(TEXT)
    assert result["parsed"] == Rent.model_validate_json(result["raw"].content)
    assert result["parsing_error"] is None


def test_too_few_tokens_and_invalid_methods_are_rejected(chat):
    with pytest.raises(ConfigError, match="shortest JSON"):
        chat.with_structured_output(Rent).invoke(TEXT, max_tokens=3)
    with pytest.raises(ConfigError, match="json_mode"):
        chat.with_structured_output(Rent, method="xml")
    with pytest.raises(ConfigError, match="needs a schema"):
        chat.with_structured_output()
