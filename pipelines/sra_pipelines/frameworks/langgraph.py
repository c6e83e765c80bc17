"""`DocumentQA` as a LangGraph graph, whose nodes are the steps of `answer_chain`."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from sra_rag.errors import require_extra

require_extra("sra_pipelines.frameworks.langgraph", "langgraph", "langgraph")

from langchain_core.messages import AIMessage  # noqa: E402 - imported after the check that the package is installed
from langchain_sra import ChatSRAHuggingFace  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402
from langgraph.graph.state import CompiledStateGraph  # noqa: E402

from sra_pipelines.answering.answers import Answer, PassageEvidence, Retrieval  # noqa: E402
from sra_pipelines.answering.document_qa import DocumentQA  # noqa: E402
from sra_pipelines.checks.amounts import Amount  # noqa: E402
from sra_pipelines.checks.calculations import Calculation, Operand  # noqa: E402
from sra_pipelines.checks.citations import Citation  # noqa: E402
from sra_pipelines.checks.relevance import Relevance  # noqa: E402
from sra_pipelines.checks.support import Claim, Support  # noqa: E402
from sra_pipelines.frameworks.langchain import answer_steps  # noqa: E402
from sra_pipelines.retrieval.placing import PlacedStatement  # noqa: E402
from sra_pipelines.retrieval.vocabulary import Expansion  # noqa: E402
from sra_pipelines.values import Passage  # noqa: E402
from sra_rag.config import SRAConfig  # noqa: E402
from sra_rag.evidence_config import EvidenceConfig  # noqa: E402
from sra_rag.generation.result import FoundEvidence, Generation, Timing, Usage  # noqa: E402

__all__ = ["CHECKPOINT_TYPES", "AnswerState", "answer_graph"]

CHECKPOINT_TYPES = (
    Answer, Calculation, Citation, Claim, Amount, EvidenceConfig, Expansion, FoundEvidence, Generation, Operand,
    Passage, PassageEvidence, PlacedStatement, Relevance, Retrieval, SRAConfig, Support, Timing, Usage,
)  # fmt: skip
"""Types in the checkpoints of the graph, for ``JsonPlusSerializer(allowed_msgpack_modules=CHECKPOINT_TYPES)``."""


class AnswerState(TypedDict, total=False):
    """State of the graph.

    Parameters
    ----------
    question
        The question; the input of the graph.
    retrieval
        The passages that were retrieved and packed for the question.
    message
        The message of the model. Missing if no passages were retrieved.
    answer
        The answer; the output of the graph.
    """

    question: str
    retrieval: Retrieval
    message: AIMessage
    answer: Answer


def answer_graph(
    qa: DocumentQA, llm: ChatSRAHuggingFace | None = None, **compile_options: Any
) -> CompiledStateGraph[AnswerState, Any, Any, Any]:
    """Return a graph that takes ``question`` and returns ``answer``; its nodes are the steps of `AnswerSteps`.

    Parameters
    ----------
    qa, llm
        See `answer_chain`.
    **compile_options
        Keyword arguments of `StateGraph.compile`, such as ``checkpointer``.

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
    return "generate" if state["retrieval"].passages else "conclude"
