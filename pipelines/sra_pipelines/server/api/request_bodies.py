"""``POST /v1/chat/completions``: the request body."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from sra_pipelines.server.api.answer_request import AnswerRequest, Role
from sra_pipelines.server.api.request_fields import (
    AnyValue,
    JSONSchema,
    Request,
    Seed,
    Stops,
    StrictModel,
    Switch,
    TokenLimit,
    neutral_only,
    not_supported,
    null_for,
)
from sra_pipelines.server.server_settings import ServerSettings

__all__ = ["ChatRequest", "Message"]

_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
_NO_TOOLS = Annotated[Any, neutral_only([])]
_NOT_FORCED = Annotated[Any, neutral_only("none", "auto")]


class TextPart(StrictModel):
    """A part of the content of a message."""

    type: Literal["text"]
    text: str
    cache_control: AnyValue = None  # of Anthropic's API; other clients send it too


def _text_part(part: Any) -> Any:
    """Name the type of a part that is not text, before its other fields are called unknown."""
    if isinstance(part, dict) and isinstance(part.get("type"), str) and part["type"] != "text":
        raise not_supported(f"content of the type {part['type']!r}", "Send parts of the type 'text'.")
    return part


def _parts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class Message(StrictModel):
    """One message of a conversation.

    Clients send back the messages of the assistant as they received them, with fields that are empty.
    """

    role: Role
    content: Annotated[list[Annotated[TextPart, BeforeValidator(_text_part)]] | None, BeforeValidator(_parts)] = None
    name: str | None = None
    refusal: Annotated[Any, neutral_only()] = None
    annotations: Annotated[Any, neutral_only([])] = None
    audio: Annotated[Any, neutral_only()] = None
    function_call: Annotated[Any, neutral_only()] = None
    reasoning: Annotated[Any, neutral_only("")] = None
    reasoning_content: Annotated[Any, neutral_only("")] = None
    tool_calls: _NO_TOOLS = None
    tool_call_id: Annotated[Any, neutral_only()] = None

    @model_validator(mode="after")
    def require_content(self) -> Message:
        """Reject a message without content, which only the assistant may send."""
        if self.content is None and self.role != "assistant":
            raise PydanticCustomError("missing_content", f"a message of the role '{self.role}' needs 'content'")
        return self

    @property
    def text(self) -> str:
        """The content as one text."""
        return "\n".join(part.text for part in self.content or ())


class ResponseFormat(StrictModel):
    """The format of an answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JSONSchema | None = None

    @model_validator(mode="after")
    def check_schema(self) -> ResponseFormat:
        """Reject a missing schema, and one that would be ignored."""
        if self.type == "json_schema":
            (self.json_schema or JSONSchema()).required_schema()
        elif self.json_schema is not None:
            raise not_supported(f"'json_schema' with the type '{self.type}'", "Use the type 'json_schema'.")
        return self

    @property
    def schema_of_answer(self) -> dict[str, Any] | None:
        """The JSON schema of the answer; None for text."""
        if self.type == "text":
            return None
        return {"type": "object"} if self.json_schema is None else self.json_schema.required_schema()


class StreamOptions(StrictModel):
    """Options of a stream."""

    include_usage: Switch = False
    include_obfuscation: Annotated[Any, neutral_only(False)] = None


class ChatRequest(Request):
    """``POST /v1/chat/completions``.

    ``sra`` sets the attention for this request: "evidence" or another value of ``--sra`` (except a file), alpha, an
    object of settings, or null for off. If it is omitted, the settings of the server apply.

    Every field of OpenAI's API is declared here. Those that would change the answer and are not supported are accepted
    with a neutral value only. Other fields are rejected.
    """

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    stream: Switch = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None

    max_tokens: TokenLimit = None
    max_completion_tokens: TokenLimit = None
    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=1, lt=2**31), null_for(0, -1)] = None
    min_p: Annotated[float | None, Field(gt=0, le=1), null_for(0)] = None
    repetition_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    seed: Seed = None
    stop: Stops = None

    # Accepted and without effect on the answer.
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    prediction: AnyValue = None
    prompt_cache_key: AnyValue = None
    prompt_cache_options: AnyValue = None
    prompt_cache_retention: AnyValue = None
    safety_identifier: AnyValue = None
    service_tier: AnyValue = None
    store: bool | None = None
    user: str | None = None

    # Accepted only where they would not change the answer.
    audio: Annotated[Any, neutral_only()] = None
    frequency_penalty: Annotated[Any, neutral_only(0)] = None
    function_call: _NOT_FORCED = None
    functions: _NO_TOOLS = None
    logit_bias: Annotated[Any, neutral_only({})] = None
    logprobs: Annotated[Any, neutral_only(False)] = None
    modalities: Annotated[Any, neutral_only(["text"])] = None
    moderation: Annotated[Any, neutral_only()] = None
    n: Annotated[Any, neutral_only(1)] = None
    presence_penalty: Annotated[Any, neutral_only(0)] = None
    reasoning_effort: Annotated[Any, neutral_only("none")] = None
    tool_choice: _NOT_FORCED = None
    tools: _NO_TOOLS = None
    top_logprobs: Annotated[Any, neutral_only(0)] = None
    verbosity: Annotated[Any, neutral_only("medium")] = None
    web_search_options: Annotated[Any, neutral_only()] = None

    @model_validator(mode="after")
    def check_names(self) -> ChatRequest:
        """Reject several names of one role: the model would read the messages as those of one person."""
        for role in {message.role for message in self.messages}:
            names = sorted({message.name for message in self.messages if message.role == role and message.name})
            if len(names) > 1:
                raise not_supported(
                    f"'name' with several values for the role '{role}' ({', '.join(names)[:60]})",
                    "Give all messages of a role the same name or none.",
                )
        return self

    def answer_request(self, settings: ServerSettings) -> AnswerRequest:
        """Return the request in the form that `Completions` answers, with the defaults of the server."""
        schema = None if self.response_format is None else self.response_format.schema_of_answer
        sampling = {
            name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
        }
        wanted = self.max_completion_tokens or self.max_tokens or settings.max_new_tokens
        return AnswerRequest(
            model=self.model,
            messages=tuple((message.role, message.text) for message in self.messages),
            sra=self.sra if "sra" in self.model_fields_set else settings.sra,
            options={name: value for name, value in sampling.items() if value is not None}
            | {"stop": tuple(self.stop or ()), "seed": self.seed, "json_schema": schema}
            | {"max_new_tokens": min(wanted, settings.max_new_tokens)},
        )
