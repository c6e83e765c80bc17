"""A LangChain chat model where LlamaIndex asks for an `LLM`, so that its evaluators can be used with either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.custom import CustomLLM

__all__ = ["LangChainLLM"]

_ROLES = {MessageRole.SYSTEM: "system", MessageRole.ASSISTANT: "ai"}


class LangChainLLM(CustomLLM):
    """Answers with a LangChain chat model; text only, no tools.

    Parameters
    ----------
    model
        The chat model.
    context_window
        Tokens of prompt and answer; by default those of the model's profile, else LlamaIndex's default. LlamaIndex
        splits passages that do not fit, and asks about them one after the other.
    """

    context_window: int = DEFAULT_CONTEXT_WINDOW
    _model: BaseChatModel = PrivateAttr()

    def __init__(self, model: BaseChatModel, *, context_window: int | None = None) -> None:
        known = (model.profile or {}).get("max_input_tokens")
        super().__init__(context_window=context_window or known or DEFAULT_CONTEXT_WINDOW)
        self._model = model

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex knows it."""
        return "SRALangChainLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex has to know of the model."""
        name = getattr(self._model, "model_name", None) or getattr(self._model, "model", None)
        return LLMMetadata(
            context_window=self.context_window,
            is_chat_model=True,
            model_name=name if isinstance(name, str) else type(self._model).__name__,
        )

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer messages."""
        said = self._model.invoke([(_ROLES.get(m.role, "human"), m.content or "") for m in messages], **kwargs)
        return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=str(said.text)), raw=said)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a prompt, sent as one message of the user."""
        said = self._model.invoke([("human", prompt)], **kwargs)
        return CompletionResponse(text=str(said.text), raw=said)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Answer a prompt piece by piece."""

        def pieces() -> CompletionResponseGen:
            text = ""
            for chunk in self._model.stream([("human", prompt)], **kwargs):
                delta = str(chunk.text)
                text += delta
                yield CompletionResponse(text=text, delta=delta, raw=chunk)

        return pieces()
