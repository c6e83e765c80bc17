"""Structured output as Pydantic objects: decoding is constrained to the JSON schema of the class."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.bridge.pydantic import BaseModel, ValidationError
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictInProgressEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.llm import LLM
from llama_index.core.program.utils import FlexibleModel, create_flexible_model
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher
from pydantic_core import from_json

from sra_rag.errors import SRAError

__all__ = ["StructuredOutputError", "StructuredPrediction"]

Model = TypeVar("Model", bound=BaseModel)
_PROGRAM_ARGUMENTS = {
    "tool_choice",
    "tool_required",
    "allow_parallel_tool_calls",
}  # of function-calling programs; ignored

dispatcher = get_dispatcher(__name__)


class StructuredOutputError(SRAError, ValueError):
    """The JSON follows the schema, but a validator of the class rejects it."""


class StructuredPrediction(LLM):
    """The structured prediction methods with constrained decoding. `as_structured_llm` uses them too.

    If `pydantic_program_mode` is not the default, or the extra ``structured`` is not installed, LlamaIndex's own
    programs are used. They ask the model for JSON but do not enforce it.
    """

    @dispatcher.span
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Answer a prompt with an instance of `output_cls`.

        Raises
        ------
        StructuredOutputError
            If a validator that cannot be expressed as a schema rejects the answer.
        ConfigError
            If `max_new_tokens` is too small for the shortest valid object.
        """
        if not self._constrains():
            return super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        _started(output_cls, prompt, prompt_args)
        messages = self._structured_messages(prompt, prompt_args)
        response = self.chat(messages, **_chat_arguments(output_cls, llm_kwargs))
        return _ended(_validate(output_cls, response.message.content or ""))

    @dispatcher.span
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Answer like `structured_predict`, without blocking the event loop."""
        if not self._constrains():
            return await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        _started(output_cls, prompt, prompt_args)
        messages = self._structured_messages(prompt, prompt_args)
        response = await self.achat(messages, **_chat_arguments(output_cls, llm_kwargs))
        return _ended(_validate(output_cls, response.message.content or ""))

    @dispatcher.span
    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        """Stream partial objects while the answer is generated, then the complete object."""
        if not self._constrains():
            yield from super().stream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return
        _started(output_cls, prompt, prompt_args)
        partial, text = create_flexible_model(output_cls), ""
        messages = self._structured_messages(prompt, prompt_args)
        with closing(self.stream_chat(messages, **_chat_arguments(output_cls, llm_kwargs))) as responses:
            for response in responses:
                text = response.message.content or ""
                if (incomplete := _read_partial(partial, text)) is not None:
                    yield incomplete
        yield _ended(_validate(output_cls, text))

    @dispatcher.span
    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        """Stream like `stream_structured_predict`, without blocking the event loop."""
        if not self._constrains():
            return await super().astream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        _started(output_cls, prompt, prompt_args)
        messages = self._structured_messages(prompt, prompt_args)
        arguments = _chat_arguments(output_cls, llm_kwargs)

        async def gen() -> AsyncGenerator[Model | FlexibleModel, None]:
            partial, text = create_flexible_model(output_cls), ""
            async with aclosing(await self.astream_chat(messages, **arguments)) as responses:
                async for response in responses:
                    text = response.message.content or ""
                    if (incomplete := _read_partial(partial, text)) is not None:
                        yield incomplete
            yield _ended(_validate(output_cls, text))

        return gen()

    def _constrains(self) -> bool:
        default = self.pydantic_program_mode is PydanticProgramMode.DEFAULT
        return default and importlib.util.find_spec("xgrammar") is not None

    def _structured_messages(self, prompt: PromptTemplate, prompt_args: dict[str, Any]) -> list[ChatMessage]:
        messages: Sequence[ChatMessage] = prompt.format_messages(llm=self, **prompt_args)
        if self.system_prompt:
            return [ChatMessage(role=MessageRole.SYSTEM, content=self.system_prompt), *messages]
        return list(messages)


def _chat_arguments(output_cls: type[BaseModel], llm_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    arguments = {key: value for key, value in (llm_kwargs or {}).items() if key not in _PROGRAM_ARGUMENTS}
    return {**arguments, "json_schema": output_cls.model_json_schema()}


def _validate(output_cls: type[Model], text: str) -> Model:
    try:
        return output_cls.model_validate_json(text)
    except ValidationError as error:
        raise StructuredOutputError(
            f"The model's answer is JSON of {output_cls.__name__}'s schema, but its validators reject it: {error}. "
            f"The answer was: {text}"
        ) from error


def _read_partial(partial: type[FlexibleModel], text: str) -> FlexibleModel | None:
    try:
        return partial.model_validate(from_json(text, allow_partial=True))
    except ValueError:
        return None


def _started(output_cls: type[BaseModel], prompt: PromptTemplate, prompt_args: dict[str, Any]) -> None:
    dispatcher.event(LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args))


def _ended(output: Model) -> Model:
    dispatcher.event(LLMStructuredPredictInProgressEvent(output=output))
    dispatcher.event(LLMStructuredPredictEndEvent(output=output))
    return output
