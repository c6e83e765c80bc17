"""``POST /v1/responses``: the request body."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from sra_pipelines.server.api.answer_request import AnswerRequest, Role
from sra_pipelines.server.api.request_fields import (
    AnyValue,
    JSONSchema,
    Request,
    StrictModel,
    Switch,
    TokenLimit,
    neutral_only,
    not_supported,
)
from sra_pipelines.server.server_settings import ServerSettings

__all__ = ["ResponsesRequest"]

_TEXTS = ("input_text", "output_text")
# What a client may ask to be included although answers never contain it.
_EMPTY_INCLUSIONS = frozenset(
    {
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "message.input_image.image_url",
        "reasoning.encrypted_content",
    }
)


class ResponseText(StrictModel):
    """A part of the content of a message. `annotations` and `logprobs` are those of an earlier answer."""

    type: Literal["input_text", "output_text"]
    text: str
    annotations: AnyValue = None
    logprobs: AnyValue = None


def _text_part(part: Any) -> Any:
    if isinstance(part, dict) and isinstance(part.get("type"), str) and part["type"] not in _TEXTS:
        raise not_supported(f"content of the type {part['type']!r}", "Send parts of the type 'input_text'.")
    return part


def _parts(content: Any) -> Any:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


def _message(item: Any) -> Any:
    """Name the type of an item that is not a message, before its other fields are called unknown."""
    kind = item.get("type") if isinstance(item, dict) else None
    if isinstance(kind, str) and kind != "message":
        raise not_supported(f"an item of the type {kind!r}", "Send messages, and no tools.")
    return item


class InputMessage(StrictModel):
    """A message of the conversation; those of the assistant may be sent back as they were received."""

    type: Literal["message"] | None = None
    role: Role
    content: Annotated[list[Annotated[ResponseText, BeforeValidator(_text_part)]], BeforeValidator(_parts)]
    id: str | None = None
    status: AnyValue = None
    phase: AnyValue = None

    @property
    def text(self) -> str:
        """The content as one text."""
        return "\n".join(part.text for part in self.content)


class TextFormat(JSONSchema):
    """The format of an answer. Unlike in chat completions, the schema is a field of the format itself."""

    type: Literal["text", "json_object", "json_schema"] = "text"

    @model_validator(mode="after")
    def check_schema(self) -> TextFormat:
        """Reject a missing schema, and one that would be ignored."""
        if self.type == "json_schema":
            self.required_schema()
        elif self.schema_ is not None:
            raise not_supported(f"'schema' with the type '{self.type}'", "Use the type 'json_schema'.")
        return self


class TextConfig(StrictModel):
    """Settings of the text of an answer."""

    format: TextFormat | None = None
    verbosity: Annotated[Any, neutral_only("medium")] = None


class Reasoning(StrictModel):
    """Settings of reasoning, which the models of this server do not do."""

    effort: Annotated[Any, neutral_only("none")] = None
    summary: AnyValue = None
    generate_summary: AnyValue = None
    context: AnyValue = None
    mode: AnyValue = None


class ResponseStreamOptions(StrictModel):
    """Options of a stream."""

    include_obfuscation: Annotated[Any, neutral_only(False)] = None


def _inclusions(value: Any) -> Any:
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, str) or item not in _EMPTY_INCLUSIONS:
            raise not_supported(f"{item!r}"[:60], "Omit it.")
    return value


def _not_stored(value: Any) -> None:
    if value is not None:
        raise PydanticCustomError("not_stored", "responses are not stored here. Send the whole conversation as 'input'")


def _input(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class ResponsesRequest(Request):
    """``POST /v1/responses``, with the field ``sra`` as in `ChatRequest`.

    Every field of OpenAI's API is declared here. Those that would change the answer and are not supported are accepted
    with a neutral value only. Other fields are rejected. Responses are not stored.
    """

    model: str
    input: Annotated[
        list[Annotated[InputMessage, BeforeValidator(_message)]],
        Field(min_length=1, max_length=200),
        BeforeValidator(_input),
    ]
    instructions: str | None = None
    stream: Switch = False
    stream_options: ResponseStreamOptions | None = None
    text: TextConfig | None = None
    max_output_tokens: TokenLimit = None
    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None

    # Accepted and without effect on the answer.
    include: Annotated[list[Any] | None, BeforeValidator(_inclusions)] = None
    max_tool_calls: AnyValue = None
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: AnyValue = None
    prompt_cache_retention: AnyValue = None
    reasoning: Reasoning | None = None
    safety_identifier: str | None = None
    service_tier: AnyValue = None
    store: bool | None = None
    user: str | None = None

    # Accepted only where they would not change the answer.
    access_programs: Annotated[Any, neutral_only([], {})] = None
    background: Annotated[Any, neutral_only(False)] = None
    background_options: Annotated[Any, neutral_only()] = None
    context_management: Annotated[Any, neutral_only([])] = None
    conversation: Annotated[Any, neutral_only()] = None
    image: Annotated[Any, neutral_only()] = None
    moderation: Annotated[Any, neutral_only()] = None
    previous_response_id: Annotated[Any, AfterValidator(_not_stored)] = None
    prompt: Annotated[Any, neutral_only()] = None
    tool_choice: Annotated[Any, neutral_only("none", "auto")] = None
    tools: Annotated[Any, neutral_only([])] = None
    top_logprobs: Annotated[Any, neutral_only(0)] = None
    truncation: Annotated[Any, neutral_only("disabled")] = None

    def answer_request(self, settings: ServerSettings) -> AnswerRequest:
        """Return the request in the form that `Completions` answers, with the defaults of the server."""
        text_format = (self.text and self.text.format) or TextFormat()
        schema = {"type": "object"} if text_format.type == "json_object" else text_format.schema_
        sampling = {name: getattr(self, name) for name in ("temperature", "top_p")}
        instructions: tuple[tuple[Role, str], ...] = (("system", self.instructions),) if self.instructions else ()
        return AnswerRequest(
            model=self.model,
            messages=(*instructions, *((message.role, message.text) for message in self.input)),
            sra=self.sra if "sra" in self.model_fields_set else settings.sra,
            options={name: value for name, value in sampling.items() if value is not None}
            | {"json_schema": schema}
            | {"max_new_tokens": min(self.max_output_tokens or settings.max_new_tokens, settings.max_new_tokens)},
        )

    def echoed(self) -> dict[str, Any]:
        """Return the fields of the request that a response repeats."""
        text_format = (self.text and self.text.format) or TextFormat()
        shown = text_format.model_dump(by_alias=True, exclude_unset=True) | {"type": text_format.type}
        return {
            "background": False,
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata or {},
            "model": self.model,
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": None,
            "prompt_cache_key": self.prompt_cache_key,
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": self.safety_identifier,
            "store": False,
            "temperature": self.temperature,
            "text": {"format": shown},
            "tool_choice": "auto",
            "tools": [],
            "top_p": self.top_p,
            "truncation": "disabled",
            "user": self.user,
        }
