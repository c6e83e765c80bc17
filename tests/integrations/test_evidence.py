"""Evidence by one argument: a LlamaIndex query engine and a LangChain chain with nothing but ``sra="evidence"``."""

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_sra import ChatSRAHuggingFace
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.llms.sra import SRAHuggingFaceLLM

from sra_rag import Engine

LEASES = [
    "The lease of the mill runs for nine years. Its rent is 61 crowns a month.",
    "The lease of the boathouse runs for four years. Its rent is 18 crowns a month.",
    "The lease of the granary runs for two years. Its rent is 75 crowns a month.",
]
QUESTION = "How long does the lease of the boathouse run?"


@pytest.fixture
def generations(monkeypatch):
    """Everything that engines answer in a test."""
    answers = []
    run = Engine._run

    def record(engine, request):
        answers.extend(done := run(engine, request))
        return done

    monkeypatch.setattr(Engine, "_run", record)
    return answers


def check(answer, generation):
    assert "four years" in answer or "4 years" in answer
    [chosen] = generation.evidence.chosen
    assert generation.evidence.shares[chosen] > 0.4
    assert not generation.sra.evidence.automatic  # the settings that were measured on the embedded model


def test_a_query_engine(embedded, generations):
    llm = SRAHuggingFaceLLM(model=embedded, sra="evidence", max_new_tokens=20)
    index = VectorStoreIndex.from_documents(
        [Document(text=text) for text in LEASES], embed_model=MockEmbedding(8)
    )  # all three are found
    answer = index.as_query_engine(llm=llm, similarity_top_k=3).query(QUESTION)
    check(str(answer), generations[-1])


def test_a_chain(embedded, generations):
    model = ChatSRAHuggingFace(engine=embedded, sra="evidence", max_tokens=20)
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from these passages.\n\n{context}"), ("human", "{question}")]
    )
    chain = prompt | model | StrOutputParser()
    answer = chain.invoke({"context": "\n\n".join(LEASES), "question": QUESTION})
    check(answer, generations[-1])
