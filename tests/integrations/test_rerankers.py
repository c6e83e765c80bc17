"""Re-ranking by a model's own heads in LlamaIndex and LangChain, with the embedded model."""

import asyncio

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_sra import ChatSRAHuggingFace, SRADocumentCompressor
from langchain_tests.integration_tests import RetrieversIntegrationTests
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.llms.sra import SRAHuggingFaceLLM
from llama_index.postprocessor.sra import SRARerank
from pydantic import ValidationError

from sra_rag import Engine
from sra_rag.errors import ConfigError

FACTS = [
    "Ferry tickets are sold at the kiosk beside the old lighthouse from seven in the morning.",
    "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year.",
    "<|im_start|>The library of the town lends maps, and closes at noon on Saturdays.<|im_end|>",
]
QUESTION = "What does the lease of the warehouse cost a year?"
TICKETS = "Where are the tickets for the ferry sold?"


@pytest.fixture(scope="module")
def ranker(embedded):
    """One engine for all tests here, so that each text is read once."""
    return Engine(embedded)


@pytest.fixture(scope="module")
def expected(ranker):
    return ranker.rank_passages(QUESTION, FACTS)


def nodes():
    return [
        NodeWithScore(node=TextNode(id_=f"node-{n}", text=fact, metadata={}), score=0.5) for n, fact in enumerate(FACTS)
    ]


def documents():
    return [Document(page_content=fact, metadata={"page": n}, id=f"doc-{n}") for n, fact in enumerate(FACTS)]


class Seen(BaseEventHandler):
    """Keeps the events of re-rankings."""

    events: list = []  # noqa: RUF012 - pydantic copies it

    def handle(self, event, **kwargs):
        if isinstance(event, ReRankStartEvent | ReRankEndEvent):
            self.events.append(event)


def test_llama_index_finds_the_class_where_it_looks():
    assert BaseNodePostprocessor.__name__ in [base.__name__ for base in SRARerank.__mro__]
    assert SRARerank.__module__.startswith("llama_index.postprocessor.sra.")
    assert SRARerank.class_name() == "SRARerank"


def test_nodes_come_back_best_first_as_copies(ranker, expected):
    given = nodes()
    best = SRARerank(model=ranker, top_n=2).postprocess_nodes(given, query_str=QUESTION)
    assert [node.node_id for node in best] == [f"node-{n}" for n in sorted(range(3), key=lambda n: -expected[n])[:2]]
    assert best[0].node is given[1].node
    assert best[0].score == max(expected)
    assert [node.score for node in given] == [0.5] * 3


async def test_nodes_without_blocking_are_the_same(ranker):
    rerank = SRARerank(model=ranker, top_n=3)
    bundle = QueryBundle(QUESTION)
    assert await rerank.apostprocess_nodes(nodes(), bundle) == rerank.postprocess_nodes(nodes(), bundle)


def test_what_the_model_is_shown_of_a_node_is_ranked(ranker):
    given = [
        TextNode(text="A year: 82,400.", metadata={"of": of, "path": "/a"}, excluded_llm_metadata_keys=["path"])
        for of in ("the ferry", "the warehouse")
    ]
    rerank = SRARerank(model=ranker.loaded, top_n=2)
    best = rerank.postprocess_nodes([NodeWithScore(node=node) for node in given], query_str=QUESTION)
    shown = ["of: the ferry\n\nA year: 82,400.", "of: the warehouse\n\nA year: 82,400."]
    scores = {node.node.metadata["of"]: node.score for node in best}
    assert [scores[of] for of in ("the ferry", "the warehouse")] == ranker.rank_passages(QUESTION, shown)
    assert rerank.engine.loaded is ranker.loaded


def test_nodes_no_nodes_and_no_question(ranker):
    rerank = SRARerank(model=ranker)
    assert rerank.postprocess_nodes([], query_str=QUESTION) == []
    [only] = rerank.postprocess_nodes(nodes()[:1], query_str=QUESTION)
    assert only.score == 1
    with pytest.raises(ConfigError, match="question is missing"):
        rerank.postprocess_nodes(nodes())
    with pytest.raises(ConfigError, match="model is a int"):
        SRARerank(model=3)
    with pytest.raises(ValidationError, match="top_n"):
        SRARerank(model=ranker, top_n=0)


def test_llama_index_hears_of_it(ranker):
    seen, debug = Seen(), LlamaDebugHandler(print_trace_on_end=False)
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(seen)
    try:
        rerank = SRARerank(model=ranker, top_n=1)
        rerank.callback_manager = CallbackManager([debug])
        best = rerank.postprocess_nodes(nodes(), query_str=QUESTION)
    finally:
        dispatcher.event_handlers.remove(seen)
    start, end = seen.events
    assert (start.query, start.top_n, start.model_name, len(start.nodes)) == (QUESTION, 1, "embedded", 3)
    assert end.nodes == best
    [[begun, ended]] = debug.get_event_pairs(CBEventType.RERANKING)
    assert begun.payload["query_str"] == QUESTION
    assert ended.payload["nodes"] == best


async def test_a_query_engine_answers_from_the_best_nodes(ranker, index):
    llm = SRAHuggingFaceLLM(model=ranker, max_new_tokens=1)
    rerank = SRARerank(model=llm.engine, top_n=1)
    queries = index.as_query_engine(llm=llm, similarity_top_k=2, node_postprocessors=[rerank])
    for question, fact in ((QUESTION, "82,400"), (TICKETS, "kiosk")):
        response = await asyncio.to_thread(queries.query, question)
        later = await queries.aquery(question)
        [node], [same] = response.source_nodes, later.source_nodes
        assert fact in node.text
        assert node.score == same.score > 0.5


def test_documents_come_back_best_first_as_copies(ranker, expected):
    given = documents()
    best = SRADocumentCompressor(engine=ranker, top_n=2).compress_documents(given, QUESTION)
    order = sorted(range(3), key=lambda n: -expected[n])[:2]
    assert order[0] == 1
    assert best == [
        Document(page_content=FACTS[n], metadata={"page": n, "relevance_score": expected[n]}, id=f"doc-{n}")
        for n in order
    ]
    assert given == documents()


async def test_documents_without_blocking_are_the_same(ranker):
    compressor = SRADocumentCompressor(engine=ranker, top_n=None)
    best = await compressor.acompress_documents(documents(), QUESTION)
    assert len(best) == 3
    assert best == compressor.compress_documents(documents(), QUESTION)


def test_a_compressor_is_made_from_a_name_or_an_engine(ranker, embedded):
    assert isinstance(SRADocumentCompressor(), BaseDocumentCompressor)
    chat = ChatSRAHuggingFace(engine=ranker)
    assert SRADocumentCompressor(engine=chat.engine).engine is ranker
    assert SRADocumentCompressor(engine=embedded).engine.loaded is embedded
    assert SRADocumentCompressor(engine=ranker).compress_documents([], QUESTION) == []
    with pytest.raises(ValidationError, match="Give one of the two"):
        SRADocumentCompressor(engine=ranker, model="other")
    with pytest.raises(ValidationError, match="Extra inputs"):
        SRADocumentCompressor(k=3)
    with pytest.raises(ValidationError, match="engine is a str"):
        SRADocumentCompressor(engine="embedded")


class TestCompressionRetriever(RetrieversIntegrationTests):
    """LangChain's own tests of a retriever, on one that re-ranks."""

    @pytest.fixture(autouse=True)
    def _share(self, ranker):
        self.ranker = ranker

    @property
    def retriever_constructor(self):
        def make(k=3):
            store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
            store.add_documents([*documents(), Document(page_content="The mill is shut.")])
            compressor = SRADocumentCompressor(engine=self.ranker, top_n=None)
            retriever = store.as_retriever(search_kwargs={"k": k})
            return ContextualCompressionRetriever(base_compressor=compressor, base_retriever=retriever)

        return make

    @property
    def retriever_query_example(self):
        return QUESTION
