"""What the embedded model answers from documents: the text, the pages it cites, and the same on every way to ask.

Most other tests of this folder use a tiny random model, whose text means nothing and cites nothing.
"""

import json

import pytest
from fastapi.testclient import TestClient
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.readers import read_document
from sra_pipelines.server import ServerSettings, create_app
from sra_pipelines.server.page.export import conversation_markdown
from sra_pipelines.server.page.turns import answer_turn

from sra_rag import Engine, SamplingOptions, SRAConfig
from tests.pipelines.frameworks.test_frameworks import check_all

QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"
AFTER = SRAConfig(alpha=0.4, rows="after_context")
PAGES = (
    "This agreement is made between Harl Shipping and the Port of Orrin.",
    "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March.",
    "Ferry tickets are sold at the kiosk beside the old lighthouse.",
)
ANSWER = "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year."
KIOSK = "Where is the kiosk at which ferry tickets are sold?"


@pytest.fixture
def qa(make_pdf, embedded, embedding):
    engine = Engine(embedded, options=SamplingOptions(max_new_tokens=24))
    index = DocumentIndex([read_document(make_pdf("lease.pdf", *PAGES))], embedding)
    return DocumentQA(index, engine, context_tokens=400)


@pytest.mark.parametrize("sra", [None, AFTER], ids=["off", "after_context"])
def test_an_answer_is_this_text_and_cites_its_page(qa, sra):
    answer = qa.ask(QUESTION, sra=sra)
    assert answer.text == ANSWER
    assert [str(c) for c in answer.citations] == ["lease, page 2"]
    assert json.loads(json.dumps(answer.to_dict()))["citations"][0]["page_index"] == 1
    assert answer.abstained is None
    assert "82,400" in {claim.text for claim in answer.supported.claims if claim.supported}
    [citation] = answer.citations
    page = next(p for p in qa.index.passages() if p.page_index == citation.page_index)
    assert "82,400" in citation.quote
    assert page.text[citation.start - page.start : citation.end - page.start] == citation.quote


async def test_streams_async_answers_and_batches_cite_the_same(qa):
    expected = qa.ask(QUESTION)
    *pieces, streamed = qa.stream(QUESTION)
    assert "".join(pieces).strip() == expected.text
    [batched, other] = qa.batch([QUESTION, KIOSK])
    for answer in (streamed, await qa.aask(QUESTION), batched):
        assert (answer.text, answer.citations) == (expected.text, expected.citations)
    assert "lease, page 3" in [str(c) for c in other.citations]


def test_frameworks_give_the_same_citations(qa):
    assert qa.ask(QUESTION, sra=AFTER).citations
    check_all(qa, [QUESTION], AFTER)


def test_a_follow_up_question_is_put_so_that_it_stands_alone(qa):
    chat = Chat(qa)
    first = chat.ask(QUESTION)
    assert "82,400" in first.text
    assert chat.history == [(QUESTION, first.text)]
    followed = chat.standalone("When is it due?")
    assert followed != "When is it due?"
    assert "\n" not in followed
    second = chat.ask("When is it due?")
    assert any("1 March" in passage.text for passage in second.passages)
    hurried = Chat(qa, history=[(QUESTION, "82,400 crowns.")], rewrite_timeout=1e-6)
    assert "1 March" in hurried.ask("When is it due?", max_new_tokens=40).text


async def test_the_server_and_its_page_show_the_answer_with_its_source(qa):
    expected = qa.ask(QUESTION)
    app = create_app(qa, ServerSettings(max_new_tokens=24))
    body = {"model": "sra-rag", "messages": [{"role": "user", "content": QUESTION}]}
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.post("/v1/chat/completions", json=body).json()
        streamed = client.post("/v1/chat/completions", json=body | {"stream": True}).text
    assert answer["choices"][0]["message"]["content"] == expected.text
    assert [(c["document"], c["page_index"]) for c in answer["citations"]] == [("lease", 1)]
    assert answer["unsupported"] == []
    assert answer["abstained"] is None
    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks).strip() == expected.text
    assert chunks[-1]["citations"] == answer["citations"]
    *_, turn = [turn async for turn in answer_turn(app.state.completions, qa, QUESTION, [None, AFTER], (), "reader")]
    assert [column.answer.text for column in turn.columns] == [expected.text] * 2
    shown = conversation_markdown([turn])
    assert shown.count("1. lease, page 2: \u201cThe lease of the warehouse at Orrin Quay costs 82,400 crowns") == 2
