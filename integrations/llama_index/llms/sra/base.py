"""`SRAHuggingFaceLLM`: LlamaIndex's `HuggingFaceLLM` with Scaled ReAttention (SRA).

This file only translates between LlamaIndex and `sra_rag.Engine`, which generates the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.base.llms.generic_utils import messages_to_prompt as generic_messages_to_prompt
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.prompts.base import BasePromptTemplate, PromptTemplate
from llama_index.core.types import BaseOutputParser, PydanticProgramMode, TokenAsyncGen, TokenGen
from llama_index.llms.huggingface import HuggingFaceLLM
from llama_index.llms.sra.call import Call
from llama_index.llms.sra.function_calling import FunctionCalling, ToolRequest, message_to_dict
from llama_index.llms.sra.structured import StructuredPrediction
from llama_index.llms.sra.translate import make_engine, to_options

from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import PromptError
from sra_rag.generation.engine import Engine
from sra_rag.generation.prompts import EncodedPrompt, Message
from sra_rag.generation.tools import describe_tools, has_tools, template_arguments

__all__ = ["SRAHuggingFaceLLM"]

_UNSET: Any = object()
_CONTEXT_ARGUMENTS = ("context_str", "context_msg")  # names of the retrieved passages in LlamaIndex's prompts

# Passages of the current prompt. `predict`, `stream` and their async versions set it; `chat` and `complete` read it.
_passages: ContextVar[str | None] = ContextVar("sra_passages", default=None)


class SRAHuggingFaceLLM(HuggingFaceLLM, FunctionCalling, StructuredPrediction):
    """A local Hugging Face model with Scaled ReAttention (SRA): attention is sharpened while it reads and answers.

    Accepts every argument of `llama_index.llms.huggingface.HuggingFaceLLM`, so existing code only needs a different
    import. Decoding is greedy unless ``generate_kwargs`` or the call sets a temperature.

    Parameters
    ----------
    model_name
        ``"embedded"`` (works offline), a model name on the Hugging Face Hub, a folder, or a ``.gguf`` file.
    sra
        Settings of Scaled ReAttention: an `SRAConfig`, a dict, a number (alpha), a text such as ``"evidence"``,
        ``"evidence=16,alpha=0.3"`` or ``"off"``, the path of a JSON file, or None for the settings of a shared model,
        which are usually off.
    model
        A loaded model to share: an `Engine`, a `LoadedModel`, or a transformers model (with `tokenizer`).
    context_window
        Maximum number of tokens of prompt and answer together. Default and upper limit: the context window of the
        model.
    is_chat_model
        Whether the model answers chat messages. By default true if the tokenizer has a chat template.
    quantization
        ``"4bit"`` or ``"8bit"`` quantizes the weights; None keeps their precision.

    The other arguments are those of `HuggingFaceLLM`. Every method accepts these arguments for a single call: ``sra``,
    ``context``, ``stop``, ``seed``, ``temperature``, ``max_new_tokens`` and all other `SamplingOptions`. ``context``
    is the text of the retrieved passages; ``rows="after_context"`` sharpens only the positions after it. Query engines
    pass it automatically.

    Examples
    --------
    >>> llm = SRAHuggingFaceLLM(model_name="embedded", sra=0.2)  # doctest: +SKIP
    >>> index.as_query_engine(llm=llm).query("When does the agreement end?")  # doctest: +SKIP
    """

    sra: SRAConfig | None = Field(default=None, description="Settings of Scaled ReAttention, None for off.")

    _engine: Engine = PrivateAttr()
    _custom_prompts: bool = PrivateAttr(default=False)

    def __init__(
        self,
        context_window: int | None = None,
        max_new_tokens: int = 256,
        query_wrapper_prompt: str | PromptTemplate = "{query_str}",
        tokenizer_name: str | None = None,
        model_name: str = "embedded",
        model: Any | None = None,
        tokenizer: Any | None = None,
        device_map: str | None = "auto",
        stopping_ids: list[int] | None = None,
        tokenizer_kwargs: dict[str, Any] | None = None,
        tokenizer_outputs_to_remove: list[str] | None = None,
        model_kwargs: dict[str, Any] | None = None,
        generate_kwargs: dict[str, Any] | None = None,
        is_chat_model: bool | None = None,
        callback_manager: CallbackManager | None = None,
        system_prompt: str = "",
        messages_to_prompt: Callable[[Sequence[ChatMessage]], str] | None = None,
        completion_to_prompt: Callable[[str], str] | None = None,
        pydantic_program_mode: PydanticProgramMode = PydanticProgramMode.DEFAULT,
        output_parser: BaseOutputParser | None = None,
        sra: SRALike = None,
        quantization: Any | None = None,
    ) -> None:
        settings = SRAConfig.coerce(sra)
        options = to_options(generate_kwargs or {}, max_new_tokens)
        engine = make_engine(
            model, tokenizer, model_name, tokenizer_name, device_map, model_kwargs, tokenizer_kwargs, quantization,
            options, stopping_ids, context_window,
        )  # fmt: skip
        if isinstance(query_wrapper_prompt, str):
            query_wrapper_prompt = PromptTemplate(query_wrapper_prompt)
        # HuggingFaceLLM's own constructor would load the model a second time.
        CustomLLM.__init__(
            self,
            context_window=engine.context_window,
            max_new_tokens=max_new_tokens,
            query_wrapper_prompt=query_wrapper_prompt,
            tokenizer_name=tokenizer_name or model_name,
            model_name=engine.loaded.name,
            device_map=device_map or "auto",
            stopping_ids=stopping_ids or [],
            tokenizer_kwargs=tokenizer_kwargs or {},
            tokenizer_outputs_to_remove=tokenizer_outputs_to_remove or [],
            model_kwargs=model_kwargs or {},
            generate_kwargs=generate_kwargs or {},
            is_chat_model=engine.encoder.has_chat_template if is_chat_model is None else is_chat_model,
            callback_manager=callback_manager,
            system_prompt=system_prompt,
            messages_to_prompt=messages_to_prompt,
            completion_to_prompt=completion_to_prompt,
            pydantic_program_mode=pydantic_program_mode,
            output_parser=output_parser,
            sra=settings if settings is not None else engine.loaded.sra,
        )
        self._engine = engine
        self._model = engine.loaded.model
        self._tokenizer = engine.loaded.tokenizer
        self._custom_prompts = messages_to_prompt is not None or completion_to_prompt is not None
        if messages_to_prompt is None:
            # A bound method would include this object in its own repr.
            self.messages_to_prompt = lambda messages: self._tokenizer_messages_to_prompt(messages)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex uses to serialize the class."""
        return "SRAHuggingFaceLLM"

    @property
    def engine(self) -> Engine:
        """The engine of the model, which can be shared with other integrations."""
        return self._engine

    @property
    def metadata(self) -> LLMMetadata:
        """Metadata of the model for LlamaIndex."""
        return LLMMetadata(
            context_window=self.context_window,
            num_output=self.max_new_tokens,
            model_name=self.model_name,
            is_chat_model=self.is_chat_model,
            is_function_calling_model=self.is_chat_model and has_tools(self._tokenizer.chat_template),
            system_role=MessageRole.SYSTEM,
        )

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a text."""
        call = self._completion_call(prompt, formatted, kwargs)
        return call.completion(self._engine.generate(call.prompt, **call.arguments))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Stream the completion of a text; the last piece contains the token usage."""
        call = self._completion_call(prompt, formatted, kwargs)
        deltas = self._engine.stream(call.prompt, **call.arguments)

        def gen() -> CompletionResponseGen:
            with closing(deltas):
                for delta in deltas:
                    yield call.completion_piece(delta)

        return gen()

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a text without blocking the event loop."""
        call = await asyncio.to_thread(self._completion_call, prompt, formatted, kwargs)
        return call.completion(await self._engine.agenerate(call.prompt, **call.arguments))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """Stream the completion of a text without blocking the event loop."""
        call = await asyncio.to_thread(self._completion_call, prompt, formatted, kwargs)

        async def gen() -> CompletionResponseAsyncGen:
            async with aclosing(self._engine.astream(call.prompt, **call.arguments)) as deltas:
                async for delta in deltas:
                    yield call.completion_piece(delta)

        return gen()

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer messages. With ``tools`` (and ``tool_choice``) in OpenAI's format, the answer may call tools."""
        call = self._chat_call(messages, kwargs)
        return call.chat(self._engine.generate(call.prompt, **call.arguments))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Stream the answer to messages; the last piece contains the token usage and tool calls."""
        call = self._chat_call(messages, kwargs)
        deltas = self._engine.stream(call.prompt, **call.arguments)

        def gen() -> ChatResponseGen:
            with closing(deltas):
                for delta in deltas:
                    yield call.chat_piece(delta)

        return gen()

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer messages without blocking the event loop."""
        call = await asyncio.to_thread(self._chat_call, messages, kwargs)
        return call.chat(await self._engine.agenerate(call.prompt, **call.arguments))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Stream the answer to messages without blocking the event loop."""
        call = await asyncio.to_thread(self._chat_call, messages, kwargs)

        async def gen() -> ChatResponseAsyncGen:
            async with aclosing(self._engine.astream(call.prompt, **call.arguments)) as deltas:
                async for delta in deltas:
                    yield call.chat_piece(delta)

        return gen()

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        """Answer a prompt template; its retrieved passages become the context for ``rows="after_context"``."""
        with self._passages_set(prompt, prompt_args) as shielded:
            return super().predict(prompt, **shielded)

    def stream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenGen:
        """Stream the answer; otherwise like `predict`."""
        with self._passages_set(prompt, prompt_args) as shielded:
            return super().stream(prompt, **shielded)

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        """Answer like `predict`, without blocking the event loop."""
        with self._passages_set(prompt, prompt_args) as shielded:
            return await super().apredict(prompt, **shielded)

    async def astream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenAsyncGen:
        """Stream like `stream`, without blocking the event loop."""
        with self._passages_set(prompt, prompt_args) as shielded:
            return await super().astream(prompt, **shielded)

    @contextmanager
    def _passages_set(self, prompt: BasePromptTemplate, prompt_args: dict[str, Any]) -> Iterator[dict[str, Any]]:
        variables = {**prompt.kwargs, **prompt_args}
        passages = next((str(variables[name]) for name in _CONTEXT_ARGUMENTS if variables.get(name)), None)
        if (
            not self.is_chat_model
        ):  # chat messages are shielded later; a formatted prompt could not be shielded any more
            shield = self._engine.encoder.shield
            variables = {name: shield(value) if isinstance(value, str) else value for name, value in variables.items()}
            prompt_args = {name: variables[name] for name in (*prompt_args, *prompt.kwargs)}
        token = _passages.set(passages)
        try:
            yield prompt_args
        finally:
            _passages.reset(token)

    def _completion_call(self, prompt: str, formatted: bool, kwargs: dict[str, Any]) -> Call:
        context, arguments = self._arguments(kwargs)
        encoder = self._engine.encoder
        if not formatted:
            # The prompt is untrusted text. Text added by the developer's wrappers may contain control tokens.
            prompt = self.query_wrapper_prompt.format(query_str=encoder.shield(prompt))
            if self._custom_prompts and self.completion_to_prompt is not None:
                prompt = self.completion_to_prompt(prompt)
            elif self.system_prompt:
                prompt = f"{self.system_prompt} {prompt}"
        return Call(self._encode_rendered(prompt, context), arguments, self._tokenizer)

    def _chat_call(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> Call:
        request = ToolRequest(kwargs.get("tools"), kwargs.get("tool_choice"))
        call_arguments = {key: value for key, value in kwargs.items() if key not in ("tools", "tool_choice")}
        if request.schema is not None:
            call_arguments["json_schema"] = request.schema
        context, arguments = self._arguments(call_arguments)
        encoded = self._encode_chat(messages, context, request.tools)
        return Call(encoded, arguments, self._tokenizer, request.names)

    def _arguments(self, kwargs: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Split the keyword arguments of a call into the context and the arguments for `Engine`."""
        changes = dict(kwargs)
        context, sra = changes.pop("context", None), changes.pop("sra", _UNSET)
        options = to_options({**self.generate_kwargs, **changes}, self.max_new_tokens)
        return context, {"sra": self.sra if sra is _UNSET else sra, "options": options}

    def _encode_chat(
        self, messages: Sequence[ChatMessage], context: str | None, tools: Sequence[dict[str, Any]]
    ) -> EncodedPrompt:
        encoder = self._engine.encoder
        dicts: Sequence[Message] = [message_to_dict(message) for message in messages]
        if not self._custom_prompts and encoder.has_chat_template:
            dicts, tool_arguments = template_arguments(self._tokenizer.chat_template, dicts, tools)
            if context is None:
                try:
                    return self._engine.encode(dicts, context=_passages.get(), template_kwargs=tool_arguments)
                except PromptError:  # the prompt does not contain the passages verbatim: use the default context
                    pass
            return self._engine.encode(dicts, context=context, template_kwargs=tool_arguments)
        shielded = [
            ChatMessage(role=message["role"], content=encoder.shield(message["content"]))
            for message in describe_tools(dicts, tools)
        ]
        custom = self.messages_to_prompt if self._custom_prompts else None
        to_prompt = custom or generic_messages_to_prompt
        return self._encode_rendered(to_prompt(shielded), context)

    def _encode_rendered(self, prompt: str, context: str | None) -> EncodedPrompt:
        encoder = self._engine.encoder
        if context is None and (passages := _passages.get()) is not None and encoder.shield(passages) in prompt:
            context = passages
        return encoder.encode_rendered(prompt, context=context, add_bos=True)
