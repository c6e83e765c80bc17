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
from langchain_sra.call_batch import BatchSlot
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
    """A local Hugging Face chat model with Scaled ReAttention (SRA): attention is sharpened while it reads and answers.

    The model is loaded at the first call. Copies that LangChain makes share the loaded model.

    Parameters
    ----------
    model
        ``"embedded"`` (works offline), a model name on the Hugging Face Hub, a folder, or a ``.gguf`` file. Alias:
        ``model_name``.
    engine
        A loaded model to share, instead of `model`: a `sra_rag.Engine`, a `LoadedModel`, or the ``.engine`` of another
        integration.
    sra
        Settings of Scaled ReAttention: an `SRAConfig`, a dict, a number (alpha), a text such as ``"evidence"``,
        ``"evidence=16,alpha=0.3"`` or ``"off"``, or the path of a JSON file. None uses the settings
        of the loaded model, which are usually off. Settings can also be passed with a call (``sra=``, where None means
        off), with ``bind``, or with the config of a whole chain or graph: ``config={"configurable": {"sra": 0.2}}``.
    max_tokens
        Maximum number of tokens of an answer; by default the engine's limit (256). Alias: ``max_new_tokens``.
    temperature
        Sampling temperature. 0, the default, selects the most likely token at each step (greedy decoding).
    top_p, top_k, min_p, repetition_penalty, seed
        See `SamplingOptions`.
    stop
        Texts that end an answer. Alias: ``stop_sequences``. Ignored for answers that follow a JSON schema.
    timeout
        Maximum time of a call in seconds; `GenerationTimeoutError` is raised after it.
    generate_kwargs
        Other generation options, such as ``no_repeat_ngram_size``.
    batch_size
        Maximum number of `batch` inputs that are answered in one batch on the model.
    streaming
        True: `invoke` streams too, so that callbacks receive tokens. False: never stream.
    device_map, dtype, quantization, tokenizer, model_kwargs, tokenizer_kwargs
        See `sra_rag.load_model`.

    Notes
    -----
    Every call accepts the options above and also ``sra``, ``context``, ``template_kwargs`` and ``cancel`` (a
    `threading.Event`). ``context`` is the text of the retrieved passages; ``rows="after_context"`` sharpens only the
    positions after it. It is not needed if the user message has several text blocks: then all blocks except the last
    are the context.

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
        slot = BatchSlot.current()
        call, tools = self._call(messages, stop, kwargs)
        generation = call.answer() if slot is None else slot.submit(call).result()
        return _result(call, tools, generation)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        slot = BatchSlot.current()
        call, tools = await asyncio.to_thread(self._call, messages, stop, kwargs)
        if slot is None:
            generation = await call.aanswer()
        else:
            generation = await asyncio.wrap_future(await asyncio.to_thread(slot.submit, call))
        return _result(call, tools, generation)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if (slot := BatchSlot.current()) is not None:
            slot.release()
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
        if (slot := BatchSlot.current()) is not None:
            await asyncio.to_thread(slot.release)
        call, tools = await asyncio.to_thread(self._call, messages, stop, kwargs)
        replies = ReplyStream(call, tools)
        async with aclosing(call.astream()) as deltas:
            async for delta in deltas:
                if (chunk := replies.chunk(delta)) is not None:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    def stream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """See `BaseChatModel.stream_events`; reads ``sra`` from the config like every other call."""
        return super().stream_events(input, config, **with_configured(config, kwargs))

    def astream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """See `BaseChatModel.astream_events`; reads ``sra`` from the config like every other call."""
        return super().astream_events(input, config, **with_configured(config, kwargs))

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to the model.

        The tools are passed to the chat template if it supports tools; otherwise they are described in the system
        message.

        Parameters
        ----------
        tools
            Functions, classes, `BaseTool` objects, or dicts.
        tool_choice
            None or ``"auto"``: the model decides. ``"any"`` (or ``"required"``) or the name of a tool: a valid call is
            enforced by constrained decoding. ``"none"``: the tools are hidden from the model.
        strict
            Accepted for compatibility with LangChain. A forced call always follows its schema.
        **kwargs
            Other arguments to bind, such as ``parallel_tool_calls=False``, which keeps only the first call of an
            answer.

        Raises
        ------
        ConfigError
            If `tool_choice` is not the name of one of the tools.
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
        """Return a runnable whose answers always follow a JSON schema, enforced by constrained decoding.

        Parameters
        ----------
        schema
            A Pydantic class, a `TypedDict`, a JSON schema, or an OpenAI function. None allows any JSON and requires
            ``method="json_mode"``.
        method
            ``"json_schema"``: the answer is the JSON. ``"function_calling"``: the answer calls a tool with that schema.
            ``"json_mode"``: the same as ``"json_schema"``.
        include_raw
            Return a dict with ``raw``, ``parsed`` and ``parsing_error`` instead of raising parsing errors.
        strict
            Accepted for compatibility with LangChain. The schema is always enforced.
        **kwargs
            Other arguments to bind to the model.

        Raises
        ------
        ConfigError
            If the method is unknown. At the call: if the schema is not supported, or if `max_tokens` is too small for
            the shortest JSON of the schema.
        """
        return structured(self, schema, method, include_raw, kwargs)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Return the number of prompt tokens, including the chat template, tools and generation prompt."""
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
    dicts, tool_arguments = template_arguments(engine.loaded.tokenizer.chat_template, to_dicts(messages), tools.tools)
    context = encoding.get("context")
    return engine.encode(
        dicts,
        context=context_of(messages) if context is None else context,
        template_kwargs={**(encoding.get("template_kwargs") or {}), **tool_arguments},
    )


def _result(call: Call, tools: ToolUse, generation: Generation) -> ChatResult:
    return ChatResult(generations=[reply(call, tools, generation)])
