"""`Chat` as a LlamaIndex chat engine."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine, StreamingAgentChatResponse

from sra_pipelines.answering.answers import Answer
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.frameworks.llama_index import answer_metadata, to_nodes
from sra_rag.config import SRALike
from sra_rag.errors import ConfigError
from sra_rag.generation.bridge import iterate_in_thread
from sra_rag.generation.request import Cancellation

__all__ = ["DocumentChatEngine", "DocumentChatStream"]


@dataclasses.dataclass
class DocumentChatStream(StreamingAgentChatResponse):
    """A streamed response of `DocumentChatEngine`; its source nodes and metadata are set when the text is complete."""

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)

    def done(self, answer: Answer) -> None:
        """Set the source nodes and the metadata from the complete answer."""
        self.source_nodes = to_nodes(answer.passages)
        self.metadata = answer_metadata(answer)
        self.is_done = True


class DocumentChatEngine(BaseChatEngine):
    """`Chat` as a LlamaIndex chat engine: the same follow-up questions, answers, passages and citations.

    Parameters
    ----------
    qa
        Answers the questions.
    memory_tokens
        Maximum number of tokens of earlier questions and answers that are kept; see `Chat`.
    sra
        Settings of Scaled ReAttention; None for off.
    chat_history
        Earlier messages: alternately a question of the user and an answer of the assistant.
    **changes
        Options of generation that differ from those of the engine, such as ``max_new_tokens``.

    Notes
    -----
    ``source_nodes`` and ``metadata`` of a response are those of `DocumentQAEngine`. In a streamed response they are
    empty until the text is complete. A ``chat_history`` that is passed with a call replaces the remembered one.

    Raises
    ------
    ConfigError
        If a chat history is not a sequence of alternating questions and answers.
    """

    def __init__(
        self,
        qa: DocumentQA,
        *,
        memory_tokens: int = 1000,
        sra: SRALike = None,
        chat_history: Sequence[ChatMessage] = (),
        **changes: Any,
    ) -> None:
        self._make: Callable[..., Chat] = partial(Chat, qa, memory_tokens=memory_tokens)
        self._chat = self._make(history=_turns(chat_history))
        self._arguments = {"sra": sra, **changes}

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The messages that are remembered, oldest first."""
        roles = (MessageRole.USER, MessageRole.ASSISTANT)
        return [
            ChatMessage(role=role, content=text)
            for turn in self._chat.history
            for role, text in zip(roles, turn, strict=True)
        ]

    def reset(self) -> None:
        """Forget the conversation."""
        self._chat.reset()

    def chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """Answer the next question."""
        self._remember(chat_history)
        return _response(self._chat.ask(message, **self._arguments))

    async def achat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """Answer the next question without blocking the event loop; cancelling the task stops the generation."""
        self._remember(chat_history)
        async with aclosing(self._pieces(message)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    return _response(piece)
        raise RuntimeError("The stream ended without an answer.")  # pragma: no cover - it always ends with one

    def stream_chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> DocumentChatStream:
        """Stream the answer to the next question."""
        self._remember(chat_history)
        response = DocumentChatStream(is_writing_to_memory=False)  # `Chat` has its own memory

        def pieces() -> Generator[ChatResponse, None, None]:
            for piece in self._chat.stream(message, **self._arguments):
                if isinstance(piece, Answer):
                    response.done(piece)
                else:
                    yield _delta(piece)

        response.chat_stream = pieces()
        return response

    async def astream_chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> DocumentChatStream:
        """Stream the answer to the next question without blocking the event loop."""
        self._remember(chat_history)
        response = DocumentChatStream(is_writing_to_memory=False)

        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            async with aclosing(self._pieces(message)) as stream:
                async for piece in stream:
                    if isinstance(piece, Answer):
                        response.done(piece)
                    else:
                        yield _delta(piece)

        response.achat_stream = pieces()
        return response

    def _pieces(self, message: str) -> AsyncGenerator[str | Answer, None]:
        cancel = Cancellation()
        make = partial(self._chat.stream, message, cancel=cancel, **self._arguments)
        return iterate_in_thread(make, cancel)

    def _remember(self, chat_history: Sequence[ChatMessage] | None) -> None:
        if chat_history is not None:
            self._chat = self._make(history=_turns(chat_history))


def _response(answer: Answer) -> AgentChatResponse:
    return AgentChatResponse(
        response=answer.text, source_nodes=to_nodes(answer.passages), metadata=answer_metadata(answer)
    )


def _delta(text: str) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=text)


def _turns(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    roles = [message.role for message in messages]
    if roles != [MessageRole.USER, MessageRole.ASSISTANT] * (len(roles) // 2):
        raise ConfigError(
            f"chat_history has messages of these roles: {', '.join(role.value for role in roles)}. Give alternating "
            "questions (user) and answers (assistant). For other instructions, give DocumentQA a preset."
        )
    texts = [message.content or "" for message in messages]
    return list(zip(texts[::2], texts[1::2], strict=True))
