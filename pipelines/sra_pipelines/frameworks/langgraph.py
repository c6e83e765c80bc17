"""`DocumentQA` as a LangGraph graph: the steps of `answer_chain` as nodes."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from sra_rag.errors import require_extra

require_extra("sra_pipelines.frameworks.langgraph", "langgraph", "langgraph")

from langchain_core.messages import AIMessage  # noqa: E402 - only once its package is known to be there
from langchain_sra import ChatSRAHuggingFace  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402
from langgraph.graph.state import CompiledStateGraph  # noqa: E402

from sra_pipelines.answering.answers import Answer, Retrieval  # noqa: E402
from sra_pipelines.answering.document_qa import DocumentQA  # noqa: E402
from sra_pipelines.checks.amounts import Amount  # noqa: E402
from sra_pipelines.checks.calculations import Calculation, Operand  # noqa: E402
from sra_pipelines.checks.citations import Citation  # noqa: E402
from sra_pipelines.checks.support import Claim, Support  # noqa: E402
from sra_pipelines.frameworks.langchain import answer_steps  # noqa: E402
from sra_pipelines.retrieval.vocabulary import Expansion  # noqa: E402
from sra_pipelines.values import Passage  # noqa: E402
from sra_rag.config import SRAConfig  # noqa: E402
from sra_rag.generation.result import Generation, Timing, Usage  # noqa: E402

__all__ = ["CHECKPOINT_TYPES", "AnswerState", "answer_graph"]

CHECKPOINT_TYPES = (
    Answer, Calculation, Citation, Claim, Amount, Expansion, Generation, Operand, Passage, Retrieval, SRAConfig,
    Support, Timing, Usage,
)  # fmt: skip
"""What a checkpoint holds, for ``JsonPlusSerializer(allowed_msgpack_modules=CHECKPOINT_TYPES)``."""


class AnswerState(TypedDict, total=False):
    """What the graph knows of a question.

    Parameters
    ----------
    question
        Given.
    found
        Passages, packed.
    message
        What the model wrote; none where nothing was found.
    answer
        The outcome.
    """

    question: str
    found: Retrieval
    message: AIMessage
    answer: Answer


def answer_graph(
    qa: DocumentQA, llm: ChatSRAHuggingFace | None = None, **compile_options: Any
) -> CompiledStateGraph[AnswerState, Any, Any, Any]:
    """Return a graph from ``question`` to ``answer``, with nodes ``retrieve``, ``generate`` and ``conclude``.

    Parameters
    ----------
    qa, llm
        See `answer_chain`.
    **compile_options
        For `StateGraph.compile`, such as ``checkpointer``.

    Raises
    ------
    ConfigError
        See `answer_chain`.
    """
    retrieve, generate, conclude = answer_steps(qa, llm)
    graph = StateGraph(AnswerState)
    graph.add_node("retrieve", retrieve)
    graph.add_node("generate", generate)
    graph.add_node("conclude", conclude)
    graph.add_edge(START, "retrieve")
    graph.add_conditional_edges("retrieve", _next)
    graph.add_edge("generate", "conclude")
    graph.add_edge("conclude", END)
    return graph.compile(**compile_options)


def _next(state: AnswerState) -> Literal["generate", "conclude"]:
    return "generate" if state["found"].passages else "conclude"
