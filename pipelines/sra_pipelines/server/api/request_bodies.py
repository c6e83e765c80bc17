"""Request bodies of the OpenAI API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ChatRequest", "Message"]


class TextPart(BaseModel):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class JSONSchema(BaseModel):
    """A JSON schema for an answer."""

    name: str = "answer"
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(BaseModel):
    """The format of an answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JSONSchema | None = None


class StreamOptions(BaseModel):
    """Options of a stream."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """``POST /v1/chat/completions``.

    ``sra`` sets the attention for this request: "evidence" or another value of ``--sra`` (except a file), alpha, an
    object of settings, or null for off. If it is omitted, the settings of the server apply. Unknown fields are
    rejected.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    sra: float | str | dict[str, Any] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    seed: int | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    n: Literal[1] = 1
    user: str | None = None
    metadata: dict[str, Any] | None = None

    def options(self, most: int) -> dict[str, Any]:
        """Return the generation options; an answer has at most `most` tokens."""
        wanted = self.max_completion_tokens or self.max_tokens or most
        options: dict[str, Any] = {"max_new_tokens": min(wanted, most), "stop": self.stop or (), "seed": self.seed}
        options |= {
            name: value
            for name, value in (("temperature", self.temperature), ("top_p", self.top_p))
            if value is not None
        }
        if self.response_format is not None and self.response_format.type != "text":
            schema = self.response_format.json_schema
            options["json_schema"] = schema.schema_ if schema is not None else {}
        return options
