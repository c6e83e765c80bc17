import asyncio
import dataclasses
import json
import pickle
import re
import threading

import pytest
from sra_pipelines.answering.answers import Answer, Retrieval
from sra_pipelines.answering.document_qa import DocumentQA, NoPassageFitsError
from sra_pipelines.commands.terminal import Reporter
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.readers import read_document

from sra_rag import SRAConfig
from sra_rag.errors import ConfigError, ContextOverflowError
from sra_rag.generation.result import FoundEvidence, Generation, Timing, Usage

QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"


@pytest.fixture
def qa(make_pdf, tiny_engine, embedding):
    path = make_pdf(
        "lease.pdf",
        "This agreement is made between Harl Shipping and the Port of Orrin.",
        "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March.",
        "Ferry tickets are sold at the kiosk beside the old lighthouse.",
    )
    return DocumentQA(DocumentIndex([read_document(path)], embedding), tiny_engine, context_tokens=400)


def test_an_answer_is_written_as_json(qa):
    answer = qa.ask(QUESTION)
    assert json.loads(json.dumps(answer.to_dict()))["text"] == answer.text


@pytest.mark.parametrize("number", [0, 1])
def test_of_pages_with_the_same_figure_the_evidence_is_cited_first(make_pdf, tiny_engine, embedding, number):
    path = make_pdf("fees.pdf", "The deposit of the cellar is 420 crowns.", "The fee of the barn is 420 crowns.")
    qa = DocumentQA(DocumentIndex([read_document(path)], embedding), tiny_engine, context_tokens=400)
    found = qa.retrieve("What has to be paid?")
    assert len(found.passages) == 2
    evidence = FoundEvidence((0.5, 0.5), (number,), (0, 0), ((1, 2),), (4.0,))
    generation = Generation("420 crowns.", "stop", Usage(1, 1), Timing(0.0, 0.0), (), SRAConfig(), 0, evidence=evidence)
    citations = qa.conclude(found, generation).citations
    assert len(citations) == 2
    assert citations[0].page_index == found.passages[number].page_index


def test_an_answer_from_lines_about_something_else_is_a_non_answer_without_sources(qa):
    found = qa.retrieve("Which credit rating did the rating agencies give to the port in 2025?")
    assert found.closest is not None
    text = "The rating agencies gave it a credit rating of 82,400."
    generation = Generation(text, "stop", Usage(1, 1), Timing(0.0, 0.0), (), None, 0)
    wrong = qa.conclude(found, generation)
    assert (wrong.abstained, wrong.citations) == ("not about the question", ())
    assert wrong.relevance.too_low
    assert wrong.text == text  # interfaces still show what the model wrote
    right = qa.conclude(qa.retrieve(QUESTION), generation)
    assert right.abstained is None
    assert right.citations
    assert right.relevance.near > 0.5
    assert json.loads(json.dumps(right.to_dict()))["relevance"]["closest"] == right.relevance.closest


def test_a_right_answer_from_a_page_of_several_matters_keeps_its_source(tmp_path, tiny_engine, embedding):
    """The page is close to no question, but the line that is quoted is."""
    file = tmp_path / "notes.txt"
    file.write_text(
        "The canteen opens at half past seven and closes at three.\nBadges are returned to the porter on the last "
        "day.\nThe lease of the boathouse ends on 30 June 2031.\nBicycles may be left in the yard behind the "
        "workshop.\nMinutes of the council are kept for ten years."
    )
    qa = DocumentQA(DocumentIndex([read_document(file)], embedding), tiny_engine, context_tokens=400)
    found = qa.retrieve("Where may bicycles be left by visitors?")
    generation = Generation("In the yard behind the workshop.", "stop", Usage(1, 1), Timing(0.0, 0.0), (), None, 0)
    answer = qa.conclude(found, generation)
    assert (answer.abstained, len(answer.citations)) == (None, 1)
    assert answer.relevance.quoted > answer.relevance.closest


@pytest.mark.parametrize("sra", [None, 0.4], ids=["off", "on"])
def test_the_attention_of_the_answer_by_passage(qa, sra):
    found = qa.retrieve(QUESTION)
    plain = qa.ask(found, sra=sra, max_new_tokens=12)
    answer = qa.ask(found, sra=sra, max_new_tokens=12, attention=True)
    assert answer.text == plain.text
    assert plain.attention is None
    assert len(answer.attention) == len(found.passages) == 3
    assert all(share > 0 for share in answer.attention)
    assert sum(answer.attention) < 1
    assert len(set(answer.attention)) == 3


@pytest.fixture
def real_qa(qa, engine):
    """The same documents asked with the embedded model, whose evidence heads are known."""
    return DocumentQA(qa.index, engine, context_tokens=400)


def test_evidence_says_what_was_looked_at_and_its_best_line(real_qa):
    qa = real_qa
    found = qa.retrieve(QUESTION)
    answer = qa.ask(found, sra="evidence", max_new_tokens=40)
    assert "82,400" in answer.text
    assert sum(look.share for look in answer.evidence) == pytest.approx(1)
    [best] = [number for number, look in enumerate(answer.evidence) if look.weighed]
    assert found.passages[best].page_index == 1
    assert "82,400 crowns a year" in answer.evidence[best].line
    assert json.loads(json.dumps(answer.to_dict()))["evidence"][best]["weighed"] is True
    [again] = qa.batch([found], sra="evidence", max_new_tokens=40)
    assert (again.text, again.evidence[best].line) == (answer.text, answer.evidence[best].line)
    assert qa.ask(found, max_new_tokens=2).evidence is None


def test_the_best_line_is_never_the_running_head_of_the_pages(make_pdf, tiny_engine, embedding):
    """The head has more words of the question than any line; what is shown is the line that was weighed."""
    head = "Leases of the Port of Orrin: what each costs a year"
    rents = [
        "The mill is let for 9,100 crowns.",
        "The barn is let for 7,400 crowns.",
        "The quay is let for 600 crowns.",
    ]
    path = make_pdf("leases.pdf", *(f"{head}\n{rent}\nPage {number}" for number, rent in enumerate(rents, start=1)))
    qa = DocumentQA(DocumentIndex([read_document(path)], embedding), tiny_engine, context_tokens=400)
    found = qa.retrieve("What does the lease of the barn of the Port of Orrin cost a year?")
    assert len(found.passages) == 3
    assert all(head in passage.text for passage in found.passages)
    answer = qa.ask(found, sra="evidence=4", max_new_tokens=2)
    assert {look.line for look in answer.evidence} == set(rents)


def test_the_order_of_the_search_reaches_the_choice_of_evidence(qa):
    """No word of the question is in the documents, so attention alone would have to stand out."""
    weighed = SRAConfig(alpha=0.0, evidence={"weight": 20.0, "gate": "agree", "retrieval": True, "look": ((0, 0),)})
    found = qa.retrieve("Warum?")
    assert sorted(found.ranks) == [0, 1, 2]
    before = qa.ask(dataclasses.replace(found, ranks=()), sra=weighed, max_new_tokens=2)
    best = max(range(3), key=lambda number: before.evidence[number].share)
    assert not any(look.weighed for look in before.evidence)
    first = dataclasses.replace(found, ranks=tuple(int(number != best) * (1 + number) for number in range(3)))
    for answer in (qa.ask(first, sra=weighed, max_new_tokens=2), *qa.batch([first], sra=weighed, max_new_tokens=2)):
        assert [look.weighed for look in answer.evidence] == [number == best for number in range(3)]


def test_the_tokens_of_a_passage_are_counted_once_for_many_questions(qa, monkeypatch):
    counted = []
    encode = qa.engine.encode
    monkeypatch.setattr(qa.engine, "encode", lambda text, **given: counted.append(text) or encode(text, **given))
    first = qa.retrieve(QUESTION)
    passages = {text for text in counted if isinstance(text, str)}
    assert passages >= set(first.passage_texts())
    counted.clear()
    assert qa.retrieve(QUESTION) == first
    assert not [text for text in counted if isinstance(text, str)]
    for text in passages:
        assert qa.count_tokens(text) == len(encode(text).token_ids)


def test_evidence_is_reported(real_qa, capsys):
    qa = real_qa
    found = qa.retrieve(QUESTION)
    Reporter(streaming=False).answer(qa.stream(found, sra="evidence", max_new_tokens=40), found)
    assert re.search(
        r"evidence: lease, page 2 \(\d+% of the look\): The lease of the warehouse", capsys.readouterr().out
    )
    gated = {"evidence": {"weight": 4.0, "gate": 1000.0}}
    Reporter(streaming=False).answer(qa.stream(found, sra=gated, max_new_tokens=4), found)
    assert "evidence: no passage stood out" in capsys.readouterr().out


def test_the_spans_of_passages_are_their_tokens(qa):
    found = qa.retrieve(QUESTION)
    ids = qa.engine.encode(found.messages(), context=found.context).token_ids
    decode = qa.engine.loaded.tokenizer.decode
    texts = [decode(ids[first:last]).strip() for first, last in qa._shares(found).spans]
    assert texts == [f"[{p.document}, page {p.page_label}]\n{p.text}" for p in found.passages]


def test_without_a_passage_the_model_is_not_asked(tiny_engine, embedding):
    *pieces, answer = DocumentQA(DocumentIndex([], embedding), tiny_engine).stream(QUESTION)
    assert pieces == [answer.text] == ["The documents do not say."]
    assert (answer.abstained, answer.citations, answer.generation.usage.total_tokens) == ("nothing found", (), 0)


def test_all_settings_see_the_same_prompt_and_share_what_they_may(qa):
    after = SRAConfig(alpha=0.2, rows="after_context")
    answers = qa.compare(QUESTION, [None, after, 0.2])
    assert len({a.generation.usage.prompt_tokens for a in answers}) == 1
    assert [a.generation.sra for a in answers] == [None, after, SRAConfig(alpha=0.2)]
    assert answers[1].generation.usage.cached_tokens == answers[1].generation.context_length > 0
    assert answers[2].generation.usage.cached_tokens == 0


def test_streaming_ends_with_the_answer(qa):
    *pieces, answer = qa.stream(QUESTION)
    assert isinstance(answer, Answer)
    assert "".join(pieces).strip() == answer.text


def test_the_context_is_all_passages_and_nothing_else(qa):
    found = qa.retrieve(QUESTION)
    assert len(found.passages) == 3
    encoded = qa.engine.encode(found.messages(), context=found.context)
    decode = qa.engine.loaded.tokenizer.decode
    assert decode(encoded.token_ids[: encoded.context_length]).endswith(found.context)
    assert decode(encoded.token_ids[encoded.context_length :]).strip().startswith("Question:")


def test_the_prompt_fits_the_budget(qa):
    small = DocumentQA(qa.index, qa.engine, context_tokens=40)
    found = small.retrieve(QUESTION)
    assert 1 <= len(found.passages) < 3
    assert len(qa.engine.encode(found.context).token_ids) <= 40


def test_the_default_budget_is_what_the_window_leaves(qa, tiny):
    from sra_rag import Engine

    narrow = Engine(tiny, context_window=160, options=qa.engine.options)
    answer = DocumentQA(qa.index, narrow).ask(QUESTION)
    assert answer.generation.usage.prompt_tokens + 10 <= 160
    assert answer.passages


def test_what_does_not_fit_is_refused(qa):
    with pytest.raises(ConfigError, match="too large.*leaves"):
        DocumentQA(qa.index, qa.engine, context_tokens=9000).ask(QUESTION)
    with pytest.raises(ConfigError, match="no room") as refused:
        DocumentQA(qa.index, qa.engine).ask("word " * 8150)
    assert isinstance(refused.value, ContextOverflowError)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)  # noqa: S301 - made here
    with pytest.raises(ConfigError, match="empty"):
        qa.ask("  ")
    with pytest.raises(ConfigError, match="at least 1"):
        DocumentQA(qa.index, qa.engine, context_tokens=0)


async def test_async_answers_are_the_blocking_ones(qa):
    expected = qa.ask(QUESTION)
    answer = await qa.aask(QUESTION)
    assert (answer.text, answer.citations) == (expected.text, expected.citations)
    *pieces, last = [piece async for piece in qa.astream(QUESTION)]
    assert "".join(pieces).strip() == expected.text
    assert last.citations == expected.citations


async def test_a_reader_who_leaves_ends_the_work(qa, slow_steps):
    pieces = qa.astream(QUESTION, max_new_tokens=2000)
    await anext(pieces)
    await pieces.aclose()
    for _ in range(100):
        if not any(thread.name.startswith("sra-rag") for thread in threading.enumerate()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the work goes on")


def test_a_batch_answers_each(qa):
    questions = [QUESTION, "Where are ferry tickets sold?"]
    answers = qa.batch(questions, sra=0.2, max_new_tokens=24)
    assert [answer.question for answer in answers] == questions
    for question, answer in zip(questions, answers, strict=True):
        assert answer.text == qa.ask(question, sra=0.2, max_new_tokens=24).text
    assert all(answer.generation.sra.alpha == 0.2 for answer in answers)
    with pytest.raises(ConfigError, match="batch_size=0"):
        qa.batch(questions, batch_size=0)


def writing(engine, text):
    """Return generation options with which a model writes a text, token by token, and then goes on as it likes."""
    ids = engine.encode(text).token_ids
    start = engine.encode("").token_ids
    ids = ids[len(start) :] if ids[: len(start)] == start else ids
    return {"extra": {"sequence_bias": [[list(ids[: n + 1]), 100.0 * (n + 1)] for n in range(len(ids))]}}


def test_an_answer_ends_before_the_parts_of_the_prompt_that_a_small_model_goes_on_with(qa):
    found = qa.retrieve(QUESTION)
    heading = f"[lease, page {found.passages[1].page_label}]"
    for rest in (f"\n\n{heading}\nThe lease", "\n\nQuestion: What is due?"):
        options = writing(qa.engine, f"82,400 crowns.{rest}") | {"max_new_tokens": 60}
        answer = qa.ask(found, **options)
        assert (answer.text, answer.generation.finish_reason) == ("82,400 crowns.", "stop")
        assert answer.generation.usage.completion_tokens < 40
        pieces = list(qa.stream(found, **options))
        assert "".join(pieces[:-1]).strip() == "82,400 crowns."
        [batched] = qa.batch([found], **options)
        assert batched.text == "82,400 crowns."
        stopped = qa.ask(found, **options, stop="crowns")
        assert stopped.text == "82,400"


def test_an_answer_about_questions_may_have_several(qa):
    found = qa.retrieve("Which questions can be asked about the lease?")
    text = "One:\nQuestion: What is due?"
    assert qa.ask(found, **writing(qa.engine, text), max_new_tokens=60).text.startswith("One:\nQuestion: What")


def test_passages_that_were_found_and_do_not_fit_are_not_reported_as_documents_that_do_not_say(qa):
    small = DocumentQA(qa.index, qa.engine, context_tokens=10)
    with pytest.raises(
        NoPassageFitsError, match=r"there is room for 10\. Give context_tokens of at least (\d+)"
    ) as found:
        small.ask(QUESTION)
    least = int(re.search(r"at least (\d+)", str(found.value))[1])
    assert len(DocumentQA(qa.index, qa.engine, context_tokens=least).retrieve(QUESTION).passages) == 1
    with pytest.raises(NoPassageFitsError):
        DocumentQA(qa.index, qa.engine, context_tokens=least - 1).retrieve(QUESTION)
    window = qa.engine.context_window
    empty = len(qa.engine.encode(Retrieval(QUESTION, (), "").messages()).token_ids)
    with pytest.raises(NoPassageFitsError, match="a larger context window, or decrease max_new_tokens"):
        DocumentQA(qa.index, qa.engine).ask(QUESTION, max_new_tokens=window - empty - 8 - 5)
