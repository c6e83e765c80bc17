"""What the embedded model answers through LangChain and LlamaIndex: the text itself, and the facts that it has read.

The other tests of this folder use a tiny random model, whose text means nothing.
"""

import asyncio
import dataclasses

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_sra import ChatSRAHuggingFace, SRAHuggingFaceLLM
from llama_index.core.llms import ChatMessage
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.llms.huggingface import HuggingFaceLLM
from llama_index.llms.sra import SRAHuggingFaceLLM as LlamaIndexLLM

from sra_rag import Engine, SRAConfig
from sra_rag.models.embedded import embedded_model_folder
from tests.integrations.conftest import FACTS
from tests.integrations.test_langchain_stacks import Embedded

QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"
PROMPT = f"{FACTS[0]}\n\n{QUESTION}"
AFTER = SRAConfig(alpha=0.2, rows="after_context")
ANSWERS = {
    None: "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year. To calculate",
    0.2: "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year. To calculate",
    AFTER: "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year. To convert",
}


@pytest.mark.parametrize("sra", ANSWERS, ids=["off", "all", "after_context"])
async def test_the_answer_is_the_same_text_through_every_integration(embedded, sra):
    engine = Engine(embedded)
    expected = engine.generate([{"role": "user", "content": PROMPT}], context=FACTS[0], sra=sra, max_new_tokens=24).text
    assert expected == ANSWERS[sra]
    chat = ChatSRAHuggingFace(engine=engine, max_tokens=24, sra=sra)
    blocks = [{"type": "text", "text": FACTS[0]}, {"type": "text", "text": QUESTION}]
    assert chat.invoke([HumanMessage(blocks)]).content == expected
    assert "".join([piece.content async for piece in chat.astream([HumanMessage(blocks)])]) == expected
    llama = LlamaIndexLLM(model=engine, max_new_tokens=24, sra=sra)
    message = [ChatMessage(role="user", content=PROMPT)]
    assert llama.chat(message, context=FACTS[0]).message.content == expected
    assert list(llama.stream_chat(message, context=FACTS[0]))[-1].message.content == expected


def test_off_in_words_switches_off_the_settings_of_a_shared_model(embedded):
    """None keeps the settings that the model was loaded with."""
    shared = Engine(dataclasses.replace(embedded, sra=AFTER))
    message = [ChatMessage(role="user", content=PROMPT)]
    for sra, expected in ((None, ANSWERS[AFTER]), ("off", ANSWERS[None])):
        chat = ChatSRAHuggingFace(engine=shared, max_tokens=24, sra=sra)
        blocks = [{"type": "text", "text": FACTS[0]}, {"type": "text", "text": QUESTION}]
        assert chat.invoke([HumanMessage(blocks)]).content == expected
        llama = LlamaIndexLLM(model=shared, max_new_tokens=24, sra=sra)
        assert llama.chat(message, context=FACTS[0]).message.content == expected


@pytest.mark.parametrize("sra", [None, 0.2], ids=["off", "on"])
def test_text_is_continued_alike_by_both_completion_models(embedded, sra):
    engine = Engine(embedded)
    text = SRAHuggingFaceLLM(engine=engine, max_tokens=8, sra=sra).invoke("The capital of France is")
    assert text == LlamaIndexLLM(model=engine, max_new_tokens=8, sra=sra).complete("The capital of France is").text
    assert "Paris" in text


def test_a_model_that_is_loaded_by_name_answers_as_huggingface_llm_does():
    arguments = {
        "model_name": str(embedded_model_folder()), "tokenizer_name": str(embedded_model_folder()),
        "model_kwargs": {"dtype": "float32"}, "max_new_tokens": 24, "generate_kwargs": {"do_sample": False},
        "is_chat_model": True, "device_map": "cpu",
    }  # fmt: skip
    message = [ChatMessage(role="user", content=PROMPT)]
    ours, theirs = (cls(**arguments).chat(message).message.content for cls in (LlamaIndexLLM, HuggingFaceLLM))
    assert ours == theirs
    assert "82,400" in ours


async def test_a_langchain_chain_finds_the_passage_and_answers_from_it(embedded):
    retriever = InMemoryVectorStore.from_texts(FACTS, Embedded()).as_retriever(search_kwargs={"k": 1})
    blocks = [{"type": "text", "text": "{context}"}, {"type": "text", "text": "Question: {question}"}]
    context = retriever | (lambda documents: "\n".join(document.page_content for document in documents))
    to_messages = {"context": context, "question": RunnablePassthrough()} | ChatPromptTemplate([("human", blocks)])
    chain = to_messages | ChatSRAHuggingFace(engine=Engine(embedded), max_tokens=24) | StrOutputParser()
    answer = chain.invoke(QUESTION)
    assert "82,400" in answer
    assert "".join(chain.stream(QUESTION)) == answer
    assert chain.batch([QUESTION, QUESTION]) == [answer, answer]
    assert await chain.ainvoke(QUESTION) == answer


@pytest.mark.parametrize("sra", [None, AFTER, 0.2], ids=["off", "after_context", "all"])
async def test_a_query_engine_finds_the_passage_and_answers_from_it(embedded, index, sra):
    llm = LlamaIndexLLM(model=Engine(embedded), sra=sra, max_new_tokens=24)
    plain = index.as_query_engine(llm=llm, similarity_top_k=1).query(QUESTION)
    assert "82,400" in str(plain)
    streaming = RetrieverQueryEngine.from_args(index.as_retriever(similarity_top_k=1), llm=llm, streaming=True)
    assert "".join(streaming.query(QUESTION).response_gen) == str(plain)
    engine = index.as_query_engine(llm=llm, similarity_top_k=1)
    answers = await asyncio.gather(*[engine.aquery(QUESTION) for _ in range(2)])
    assert [str(answer) for answer in answers] == [str(plain)] * 2


@pytest.mark.parametrize("mode", ["context", "condense_plus_context"])
def test_a_chat_engine_finds_the_passage_and_answers_from_it(embedded, index, mode):
    llm = LlamaIndexLLM(model=Engine(embedded), sra=AFTER, max_new_tokens=24)
    chat = index.as_chat_engine(llm=llm, chat_mode=mode, similarity_top_k=1)
    assert "82,400" in str(chat.chat(QUESTION))
    assert str(chat.chat("And when does it end?"))
    assert "".join(chat.stream_chat(QUESTION).response_gen)


def test_a_fused_retriever_finds_the_passage(embedded, index):
    llm = LlamaIndexLLM(model=Engine(embedded), sra=0.2, max_new_tokens=24)
    retriever = index.as_retriever(similarity_top_k=2)
    fused = QueryFusionRetriever([retriever], llm=llm, num_queries=2, similarity_top_k=2, use_async=False)
    assert "82,400" in fused.retrieve(QUESTION)[0].text
