"""`SRARerank`: ranks LlamaIndex nodes by the attention that the evidence heads of a model give them.

This file only translates between LlamaIndex and `sra_rag.Engine.rank_passages`, which ranks the passages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from sra_rag.errors import ConfigError
from sra_rag.generation.engine import Engine
from sra_rag.models.loading import LoadedModel, load_model

__all__ = ["SRARerank"]

_dispatcher = get_dispatcher(__name__)


class SRARerank(BaseNodePostprocessor):
    """Order nodes by the attention that a model's evidence heads give them, and keep the best.

    All nodes are in one prompt, with the text that the model will receive (`MetadataMode.LLM`); see
    `sra_rag.Engine.rank_passages`. The returned nodes are copies whose ``score`` is their share of the attention. Nodes
    with equal shares keep their order.

    Parameters
    ----------
    top_n
        Maximum number of nodes that are returned.
    model
        Name of the model, as given to `sra_rag.load_model`, or an `Engine` or `LoadedModel` to share, such as
        ``llm.engine`` of `llama_index.llms.sra.SRAHuggingFaceLLM`.

    Raises
    ------
    ConfigError
        If `model` has another type.
    ModelLoadError, UnsupportedModelError
        See `sra_rag.load_model`.

    Examples
    --------
    >>> rerank = SRARerank(model=llm.engine, top_n=3)  # doctest: +SKIP
    >>> index.as_query_engine(llm=llm, similarity_top_k=10, node_postprocessors=[rerank])  # doctest: +SKIP
    """

    top_n: int = Field(default=2, ge=1, description="Maximum number of nodes that are returned.")
    model: str = Field(default="embedded", description="Name of the model whose heads rank the nodes.")

    _engine: Engine = PrivateAttr()

    def __init__(self, top_n: int = 2, model: str | Engine | LoadedModel = "embedded") -> None:
        if not isinstance(model, str | Engine | LoadedModel):
            raise ConfigError(
                f"model is a {type(model).__name__}. Give the name of a model, a sra_rag.Engine (such as llm.engine), "
                "or a LoadedModel (from sra_rag.load_model)."
            )
        super().__init__(top_n=top_n, model=model if isinstance(model, str) else model.name)  # type: ignore[call-arg]  # fields of this class
        loaded = load_model(model) if isinstance(model, str) else model
        self._engine = loaded if isinstance(loaded, Engine) else Engine(loaded)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex uses to serialize the class."""
        return "SRARerank"

    @property
    def engine(self) -> Engine:
        """The engine that ranks the nodes, which can be shared with other integrations."""
        return self._engine

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        question, texts = _question(query_bundle), _texts(nodes)
        with self._reported(nodes, question) as best:
            best += self._best(nodes, self._engine.rank_passages(question, texts))
        return best

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        question, texts = _question(query_bundle), _texts(nodes)
        with self._reported(nodes, question) as best:
            best += self._best(nodes, await self._engine.arank_passages(question, texts))
        return best

    def _best(self, nodes: list[NodeWithScore], scores: list[float]) -> list[NodeWithScore]:
        ranked = sorted(zip(nodes, scores, strict=True), key=lambda pair: -pair[1])
        return [node.model_copy(update={"score": score}) for node, score in ranked[: self.top_n]]

    @contextmanager
    def _reported(self, nodes: list[NodeWithScore], question: str) -> Iterator[list[NodeWithScore]]:
        """Send LlamaIndex's events of a re-ranking. The caller adds the ranked nodes to the list that this yields."""
        best: list[NodeWithScore] = []
        _dispatcher.event(ReRankStartEvent(query=question, nodes=nodes, top_n=self.top_n, model_name=self.model))
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.model,
            EventPayload.QUERY_STR: question,
            EventPayload.TOP_K: self.top_n,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            yield best
            event.on_end(payload={EventPayload.NODES: best})
        _dispatcher.event(ReRankEndEvent(nodes=best))


def _question(query_bundle: QueryBundle | None) -> str:
    if query_bundle is None:
        raise ConfigError("The question is missing. Pass query_str or query_bundle.")
    return query_bundle.query_str


def _texts(nodes: list[NodeWithScore]) -> list[str]:
    return [node.node.get_content(metadata_mode=MetadataMode.LLM) for node in nodes]
