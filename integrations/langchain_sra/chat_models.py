"""`ChatSRAHuggingFace`: a local chat model with Scaled ReAttention, for LangChain and LangGraph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.tools import BaseTool

from langchain_sra.call import Call
from langchain_sra.gathering import Seat
from langchain_sra.language_model import SRALanguageModel
from langchain_sra.messages import context_of, to_dicts
from langchain_sra.replies import ReplyStream, reply
from langchain_sra.run_config import with_configured
from langchain_sra.structured import structured
from langchain_sra.tool_use import ToolUse, named_choice
from sra_rag.generation.engine import Engine
from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.generation.result import Generation
from sra_rag.generation.tools import template_arguments

__all__ = ["ChatSRAHuggingFace"]


class ChatSRAHuggingFace(SRALanguageModel, BaseChatModel):
    """A local Hugging Face chat model whose attention is sharpened while it reads and answers.

    Nothing is loaded until the first call; copies that LangChain makes share the loaded model.

    Parameters
    ----------
    model
        ``"embedded"`` (works offline), a name on the hub, a folder or a ``.gguf`` file. Also ``model_name``.
    engine
        A loaded model to share instead: a `sra_rag.Engine`, a `LoadedModel`, another integration's ``.engine``.
    sra
        Settings of Scaled ReAttention: `SRAConfig`, a dict, alpha, the path of a JSON file; None is the loaded
        model's own, mostly off. May also come with a call (``sra=``, there None is off), with ``bind``, or with the
        config of a whole chain or graph: ``config={"configurable": {"sra": 0.2}}``.
    max_tokens
        Of an answer, by default the engine's (256). Also ``max_new_tokens``.
    temperature
        0, the default, takes the likeliest token each time.
    top_p, top_k, min_p, repetition_penalty, seed
        See `SamplingOptions`.
    stop
        Texts at which an answer ends. Also ``stop_sequences``. Does not apply to answers that are JSON by a schema.
    timeout
        Seconds after which `GenerationTimeoutError` is raised.
    generate_kwargs
        Further options, such as ``no_repeat_ngram_size``.
    batch_size
        How many inputs of `batch` are answered in one batch on the model.
    streaming
        True streams within `invoke` too, for callbacks; False never streams.
    device_map, dtype, quantization, tokenizer, model_kwargs, tokenizer_kwargs
        See `sra_rag.load_model`.

    Notes
    -----
    Every call takes the options above, ``sra``, ``context`` (the text at whose end the context ends, for
    ``rows="after_context"``), ``template_kwargs`` and ``cancel`` (a `threading.Event`). A user message of several
    blocks of text needs no ``context``: all blocks but its last are the context.

    Examples
    --------
    >>> llm = ChatSRAHuggingFace(model="embedded", sra=0.2)  # doctest: +SKIP
    >>> llm.invoke("When does the agreement end?").content  # doctest: +SKIP
    """

    @property
    def _llm_type(self) -> str:
        return "sra-huggingface-chat"

    def _resolve_model_profile(self) -> ModelProfile:
        profile = ModelProfile(
            text_inputs=True, image_inputs=False, audio_inputs=False, video_inputs=False, pdf_inputs=False,
            text_outputs=True, tool_calling=True, tool_choice=True,
        )  # fmt: skip
        if self.engines.given is not None:
            profile["max_input_tokens"] = self.engines.given.context_window
        return profile

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        seat = Seat.current()
        call, tools = self._call(messages, stop, kwargs)
        generation = call.answer() if seat is None else seat.ask(call).result()
        return _result(call, tools, generation)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        seat = Seat.current()
        call, tools = await asyncio.to_thread(self._call, messages, stop, kwargs)
        if seat is None:
            generation = await call.aanswer()
        else:
            generation = await asyncio.wrap_future(await asyncio.to_thread(seat.ask, call))
        return _result(call, tools, generation)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if (seat := Seat.current()) is not None:
            seat.leave()
        call, tools = self._call(messages, stop, kwargs)
        replies = ReplyStream(call, tools)
        with closing(call.stream()) as deltas:
            for delta in deltas:
                if (chunk := replies.chunk(delta)) is not None:
                    if run_manager is not None:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if (seat := Seat.current()) is not None:
            await asyncio.to_thread(seat.leave)
        call, tools = await asyncio.to_thread(self._call, messages, stop, kwargs)
        replies = ReplyStream(call, tools)
        async with aclosing(call.astream()) as deltas:
            async for delta in deltas:
                if (chunk := replies.chunk(delta)) is not None:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    def stream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """See `BaseChatModel.stream_events`; takes ``sra`` from the config as all calls do."""
        return super().stream_events(input, config, **with_configured(config, kwargs))

    def astream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """See `BaseChatModel.astream_events`; takes ``sra`` from the config as all calls do."""
        return super().astream_events(input, config, **with_configured(config, kwargs))

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Tell the model of tools.

        A chat template that takes tools is given them; otherwise the system message tells of them.

        Parameters
        ----------
        tools
            Functions, classes, `BaseTool`, or dicts.
        tool_choice
            None or ``"auto"`` leaves it to the model; ``"any"`` (or ``"required"``) and the name of a tool force a
            valid call by constrained decoding; ``"none"`` hides the tools.
        strict
            Accepted as elsewhere in LangChain; a forced call follows its schema always.
        **kwargs
            Bound too, such as ``parallel_tool_calls=False``, which keeps the first call of an answer.

        Raises
        ------
        ConfigError
            If the choice names none of the tools.
        """
        use = ToolUse.of(tools, tool_choice)
        choice = named_choice(tool_choice)
        bound: dict[str, Any] = {} if choice is None else {"tool_choice": choice}
        return self.bind(tools=list(use.tools), **bound, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: str = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Answer in JSON of a schema, always, by constrained decoding.

        Parameters
        ----------
        schema
            Pydantic class, `TypedDict`, JSON schema, or OpenAI function; None (``"json_mode"``) is any JSON.
        method
            ``"json_schema"``: the answer is the JSON. ``"function_calling"``: the answer calls a tool of that schema.
            ``"json_mode"``: as ``"json_schema"``.
        include_raw
            Return ``raw``, ``parsed`` and ``parsing_error`` instead of raising.
        strict
            Accepted as elsewhere in LangChain; the schema is followed always.
        **kwargs
            Bound to the model.

        Raises
        ------
        ConfigError
            If the method is not one of these, or, at the call, if the schema cannot be followed or its shortest
            JSON is longer than `max_tokens`.
        """
        return structured(self, schema, method, include_raw, kwargs)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Return how many tokens the messages take with the chat template, tools and the opening of an answer."""
        if not messages:
            return 0
        return len(_encode(self.engine, messages, ToolUse.of(tools, None), {}).token_ids)

    def _call(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[Call, ToolUse]:
        options = dict(kwargs)
        tools = ToolUse.of(*(options.pop(name, None) for name in ("tools", "tool_choice", "parallel_tool_calls")))
        engine, arguments, encoding = self._prepare(stop, options, tools.schema)
        return Call(engine, _encode(engine, messages, tools, encoding), arguments), tools


def _encode(engine: Engine, messages: list[BaseMessage], tools: ToolUse, encoding: dict[str, Any]) -> EncodedPrompt:
    dicts, told = template_arguments(engine.loaded.tokenizer.chat_template, to_dicts(messages), tools.tools)
    context = encoding.get("context")
    return engine.encode(
        dicts,
        context=context_of(messages) if context is None else context,
        template_kwargs={**(encoding.get("template_kwargs") or {}), **told},
    )


def _result(call: Call, tools: ToolUse, generation: Generation) -> ChatResult:
    return ChatResult(generations=[reply(call, tools, generation)])
