"""The same index and the same answers through LangChain, LangGraph and LlamaIndex as from `DocumentQA` and `Chat`."""

import dataclasses
import importlib
import typing

import pytest
from langchain_core.retrievers import BaseRetriever as LangChainRetriever
from langchain_sra import ChatSRAHuggingFace
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import CondensePlusContextChatEngine, CondenseQuestionChatEngine, ContextChatEngine
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.sra import SRAHuggingFaceLLM
from sra_pipelines import DocumentIndex, DocumentQA, Passage, add_documents, read_document
from sra_pipelines.answering.answers import Answer, PassageEvidence, Retrieval
from sra_pipelines.answering.chat import Chat
from sra_pipelines.checks.calculations import calculate, find_operand
from sra_pipelines.checks.relevance import Relevance
from sra_pipelines.frameworks import langchain as ours_langchain
from sra_pipelines.frameworks import langgraph as ours_langgraph
from sra_pipelines.frameworks import llama_index as ours_llama_index
from sra_pipelines.frameworks.llama_index_chat import DocumentChatEngine
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.samples import sample_documents, sample_questions

from sra_rag import Engine, SamplingOptions, SRAConfig
from sra_rag.errors import ConfigError, MissingExtraError
from sra_rag.generation.result import FoundEvidence, Generation, Timing, Usage

answer_chain, answer_graph = ours_langchain.answer_chain, ours_langgraph.answer_graph
QUESTIONS = [question.question for question in sample_questions()]
FEW = QUESTIONS[::25]


@pytest.fixture(scope="module")
def index(word_embedding):
    return DocumentIndex([read_document(path) for path in sample_documents()], word_embedding)


@pytest.fixture
def engine(tiny):
    return Engine(tiny, options=SamplingOptions(max_new_tokens=10))


@pytest.fixture
def qa(index, tiny_engine):
    return DocumentQA(index, tiny_engine, context_tokens=180)


@pytest.fixture
def empty(embedding, tiny_engine):
    return DocumentQA(DocumentIndex([], embedding), tiny_engine)


def essence(answer):
    """All that must be the same, that is everything but seconds, reuse of prefills and tokens."""
    generation = answer.generation
    return (
        answer.question, answer.text, answer.citations, answer.passages, answer.supported, answer.abstained,
        generation.finish_reason, generation.usage.prompt_tokens, generation.usage.completion_tokens,
        generation.sra, generation.context_length,
    )  # fmt: skip


def check_all(qa, questions, sra=None):
    llm = ChatSRAHuggingFace(engine=qa.engine, sra=sra)
    chain, graph = answer_chain(qa, llm), answer_graph(qa, llm)
    query_engine = ours_llama_index.DocumentQAEngine(qa, sra=sra)
    own_engine = RetrieverQueryEngine.from_args(
        ours_llama_index.PackedRetriever(qa),
        llm=SRAHuggingFaceLLM(model=qa.engine, max_new_tokens=qa.engine.options.max_new_tokens, sra=sra),
        text_qa_template=ours_llama_index.question_prompt(),
    )
    for question in questions:
        expected = qa.ask(question, sra=sra)
        assert essence(chain.invoke(question)) == essence(expected)
        assert essence(graph.invoke({"question": question})["answer"]) == essence(expected)
        response = query_engine.query(question)
        assert essence(response.metadata["answer"]) == essence(expected)
        assert response.response == expected.text
        assert response.metadata["citations"] == [str(citation) for citation in expected.citations]
        assert [node.node.get_content() for node in response.source_nodes] == [p.text for p in expected.passages]
        assert own_engine.query(question).response.strip() == expected.text


def test_the_same_answers(qa):
    check_all(qa, FEW)


@pytest.mark.parametrize(
    "sra", [SRAConfig(alpha=0.4), SRAConfig(alpha=0.4, rows="after_context")], ids=["all", "after"]
)
def test_the_same_answers_with_reattention(qa, sra):
    check_all(qa, FEW[:1], sra)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("sra", [None, SRAConfig(alpha=0.2, rows="after_context")], ids=["off", "on"])
def test_the_same_answers_to_many_questions(index, tiny_engine, sra):
    qa = DocumentQA(index, tiny_engine, context_tokens=400, retriever=Retriever(index, order="ends"))
    check_all(qa, QUESTIONS[:: 2 if sra is None else 6], sra)


@pytest.mark.slow
async def test_the_same_answers_asynchronously_and_in_batches(qa):
    expected = [essence(qa.ask(question)) for question in FEW[:2]]
    chain, graph = answer_chain(qa), answer_graph(qa)
    assert [essence(await chain.ainvoke(question)) for question in FEW[:2]] == expected
    assert [essence((await graph.ainvoke({"question": q}))["answer"]) for q in FEW[:2]] == expected
    assert [essence(answer) for answer in chain.batch(FEW[:2])] == expected
    response = await ours_llama_index.DocumentQAEngine(qa).aquery(FEW[0])
    assert essence(response.metadata["answer"]) == expected[0]


async def test_the_text_comes_piece_by_piece(qa):
    expected = qa.ask(FEW[0])
    chain, graph = answer_chain(qa), answer_graph(qa)
    events = [event async for event in chain.astream_events(FEW[0])]
    tokens = [event["data"]["chunk"].text for event in events if event["event"] == "on_chat_model_stream"]
    assert len(tokens) > 3
    assert "".join(tokens).strip() == expected.text
    assert {"retrieve", "generate", "conclude"} <= {event["name"] for event in events}
    pieces = [
        message.text
        for message, about in graph.stream({"question": FEW[0]}, stream_mode="messages")
        if about["langgraph_node"] == "generate"
    ]
    assert len(pieces) > 3
    assert "".join(pieces).strip() == expected.text
    streaming = ours_llama_index.DocumentQAEngine(qa, streaming=True)
    response = streaming.query(FEW[0])
    assert not response.metadata
    assert "".join(response.response_gen).strip() == expected.text
    assert essence(response.metadata["answer"]) == essence(expected)
    response = await streaming.aquery(FEW[0])
    assert "".join([piece async for piece in response.async_response_gen()]).strip() == expected.text
    assert essence(response.metadata["answer"]) == essence(expected)


def test_settings_come_with_the_config(qa):
    sra = SRAConfig(alpha=0.5)
    answer = answer_chain(qa).invoke(FEW[0], {"configurable": {"sra": 0.5}})
    assert essence(answer) == essence(qa.ask(FEW[0], sra=sra))
    state = answer_graph(qa).invoke({"question": FEW[0]}, {"configurable": {"sra": 0.5}})
    assert state["answer"].generation.sra == sra


def test_the_length_of_an_answer_is_taken_off_the_passages(index, tiny):
    narrow = Engine(tiny, context_window=400, options=SamplingOptions(max_new_tokens=8))
    qa = DocumentQA(index, narrow)
    longer = ChatSRAHuggingFace(engine=narrow, max_tokens=60)
    expected = qa.ask(FEW[0], max_new_tokens=60)
    assert essence(answer_chain(qa, longer).invoke(FEW[0])) == essence(expected)
    response = ours_llama_index.DocumentQAEngine(qa, max_new_tokens=60).query(FEW[0])
    assert essence(response.metadata["answer"]) == essence(expected)


def test_without_a_passage_the_model_is_not_asked(empty):
    expected = empty.ask(FEW[0])
    assert essence(answer_chain(empty).invoke(FEW[0])) == essence(expected)
    state = answer_graph(empty).invoke({"question": FEW[0]})
    assert essence(state["answer"]) == essence(expected)
    assert "message" not in state
    response = ours_llama_index.DocumentQAEngine(empty).query(FEW[0])
    assert (response.response, response.source_nodes) == (expected.text, [])


def test_another_engine_is_refused(qa, tiny):
    with pytest.raises(ConfigError, match="engine=qa.engine"):
        answer_chain(qa, ChatSRAHuggingFace(engine=Engine(tiny)))
    with pytest.raises(ConfigError, match="empty"):
        answer_chain(qa).invoke("  ")


def test_a_graph_can_be_saved_and_gone_on_with(qa, caplog):
    strict = JsonPlusSerializer(allowed_msgpack_modules=ours_langgraph.CHECKPOINT_TYPES)
    graph = answer_graph(qa, checkpointer=InMemorySaver(serde=strict), interrupt_after=["retrieve"])
    config = {"configurable": {"thread_id": "1", "sra": 0.3}}
    assert "answer" not in graph.invoke({"question": FEW[0]}, config)
    assert graph.get_state(config).next == ("generate",)
    expected = qa.ask(FEW[0], sra=0.3)
    assert essence(graph.invoke(None, config)["answer"]) == essence(expected)
    saved = graph.get_state(config).values["answer"]
    assert (saved.text, saved.generation.sra) == (expected.text, expected.generation.sra)
    assert list(saved.citations) == list(expected.citations)
    assert "unregistered" not in caplog.text
    assert "Blocked" not in caplog.text


def records_in(kind):
    """Yield the dataclasses and named tuples that a value of a type may contain."""
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        yield kind
        for hint in typing.get_type_hints(kind).values():
            yield from records_in(hint)
    for part in typing.get_args(kind):
        yield from records_in(part)


def test_every_type_in_an_answer_can_be_saved():
    missing = {*records_in(Answer), *records_in(Retrieval)} - set(ours_langgraph.CHECKPOINT_TYPES)
    assert missing == set()


def test_an_answer_with_evidence_can_be_saved(caplog):
    strict = JsonPlusSerializer(allowed_msgpack_modules=ours_langgraph.CHECKPOINT_TYPES)
    sra = SRAConfig.coerce({"evidence": {"weight": 4}})
    found = FoundEvidence((0.4, 0.6), (1,), (0, 2), ((3, 9),), (4.0,))
    generation = Generation("It is 5.", "stop", Usage(9, 2), Timing(1.0, 1.0), (1, 2), sra, 3, evidence=found)
    look = (PassageEvidence(0.4, "a", False), PassageEvidence(0.6, "b", True))
    answer = Answer("What?", "It is 5.", (), (), generation, evidence=look, relevance=Relevance(0.5, 0.6))
    saved = strict.loads_typed(strict.dumps_typed(answer))
    assert (saved.relevance, saved.evidence[1], saved.generation.sra) == (answer.relevance, look[1], sra)
    assert "Blocked" not in caplog.text


def test_a_calculation_can_be_saved(caplog):
    strict = JsonPlusSerializer(allowed_msgpack_modules=ours_langgraph.CHECKPOINT_TYPES)
    passage = Passage("report", 0, "1", "Revenue 518.2 472.9")
    operands = [find_operand("Revenue", figure, [passage]) for figure in ("472.9", "518.2")]
    calculation = calculate("difference", operands)
    saved = strict.loads_typed(strict.dumps_typed(calculation))
    assert (saved.text, saved.result) == ("518.2 - 472.9 = 45.3", calculation.result)
    assert list(saved.operands) == operands
    assert "Blocked" not in caplog.text


async def test_retrievers_find_what_the_index_finds(index, tmp_path, word_embedding):
    file = tmp_path / "facts.md"
    file.write_text("# {Tickets}\n\nFerry tickets are sold at the kiosk {beside} the lighthouse.\n")
    add_documents(tmp_path / "index", [file], lambda: word_embedding, workers=0)
    for searched, question in ((index, FEW[0]), (StoredIndex(tmp_path / "index", word_embedding), "ferry tickets")):
        retriever = Retriever(searched)
        expected = retriever.search(question, 4)
        chained = ours_langchain.PassageRetriever(retriever=retriever, k=4)
        assert isinstance(chained, LangChainRetriever)
        documents = chained.invoke(question)
        assert [d.page_content for d in documents] == [p.text for p in expected]
        first, passage = documents[0], expected[0]
        assert first.metadata == {
            "document": passage.document, "page_label": passage.page_label, "page_index": passage.page_index,
            "section": passage.section, "start": passage.start, "end": passage.end, "score": passage.score,
        }  # fmt: skip
        assert len({document.id for document in documents}) == len(documents)
        assert await chained.ainvoke(question) == documents
        indexed = ours_llama_index.PassageRetriever(retriever, k=4)
        nodes = indexed.retrieve(question)
        assert [(n.node.get_content(), n.score) for n in nodes] == [(p.text, p.score) for p in expected]
        assert nodes[0].node.metadata == {k: v for k, v in first.metadata.items() if k != "score"}
        assert nodes[0].node.get_content("llm") == f"[{passage.document}, page {passage.page_label}]\n{passage.text}"
        assert [n.node_id for n in await indexed.aretrieve(question)] == [n.node_id for n in nodes]


def test_llama_indexs_own_engines_take_the_retriever(qa):
    retriever = ours_llama_index.PassageRetriever(qa.retriever, k=2)
    llm = SRAHuggingFaceLLM(model=qa.engine, max_new_tokens=10, sra=0.2)
    response = RetrieverQueryEngine.from_args(retriever, llm=llm).query(FEW[0])
    expected = [passage.text for passage in qa.retriever.search(FEW[0], 2)]
    assert [node.node.get_content() for node in response.source_nodes] == expected
    assert response.response.strip()
    for make in (ContextChatEngine.from_defaults, CondensePlusContextChatEngine.from_defaults):
        chat = make(retriever=retriever, llm=llm)
        answer = chat.chat(FEW[0])
        assert [node.node.get_content() for node in answer.source_nodes] == expected
        assert answer.response.strip()
        assert len(chat.chat_history) == 2


def test_the_query_engine_plugs_in_where_one_is_expected(qa):
    ours = ours_llama_index.DocumentQAEngine(qa)
    expected = qa.ask(FEW[0]).text
    assert QueryEngineTool.from_defaults(ours, name="documents", description="x").call(FEW[0]).content == expected
    llm = SRAHuggingFaceLLM(model=qa.engine, max_new_tokens=10)
    assert CondenseQuestionChatEngine.from_defaults(ours, llm=llm).chat(FEW[0]).response == expected
    assert [n.node.get_content() for n in ours.retrieve(ours_llama_index.QueryBundle(FEW[0]))] == [
        passage.text for passage in qa.retrieve(FEW[0]).passages
    ]


@pytest.mark.slow
async def test_the_chat_engine_is_the_chat(qa, monkeypatch):
    monkeypatch.setattr("sra_pipelines.answering.chat._LONGEST_REWRITE", 12)  # for speed
    follow_up = "And in the year before?"
    chat = Chat(qa)
    expected = [chat.ask(FEW[0]), chat.ask(follow_up)]
    engine = DocumentChatEngine(qa)
    responses = [engine.chat(FEW[0]), engine.chat(follow_up)]
    assert [essence(r.metadata["answer"]) for r in responses] == list(map(essence, expected))
    assert [(m.role.value, m.content) for m in engine.chat_history] == [
        ("user", FEW[0]), ("assistant", expected[0].text), ("user", follow_up), ("assistant", expected[1].text),
    ]  # fmt: skip

    history = engine.chat_history[:2]
    streamed = engine.stream_chat(follow_up, chat_history=history)
    assert "".join(streamed.response_gen).strip() == expected[1].text == streamed.response
    assert essence(streamed.metadata["answer"]) == essence(expected[1])
    assert len(engine.chat_history) == 4
    assert (await engine.achat(follow_up, chat_history=history)).response == expected[1].text
    streamed = await engine.astream_chat(follow_up, chat_history=history)
    assert "".join([piece async for piece in streamed.async_response_gen()]).strip() == expected[1].text
    assert len(streamed.source_nodes) == len(expected[1].passages)

    engine.reset()
    assert engine.chat_history == []
    for wrong in ([ChatMessage("Be rude.", role="system")], history[:1]):
        with pytest.raises(ConfigError, match="alternating questions"):
            engine.chat("Why?", chat_history=wrong)


@pytest.mark.parametrize(("module", "missing"), [(ours_langchain, "langchain_core"), (ours_langgraph, "langgraph")])
def test_a_missing_extra_names_the_command(module, missing, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == missing else found(name, *more)
    )
    with pytest.raises(MissingExtraError, match=rf"pip install 'sra-rag\[{module.__name__.split('.')[2]}\]'"):
        importlib.reload(module)
