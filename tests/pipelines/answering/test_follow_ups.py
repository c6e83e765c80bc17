"""Which follow-up questions are rewritten, and which rewritten ones are used."""

import json
from pathlib import Path

import pytest
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.follow_ups import is_complete, keeps_the_question
from sra_pipelines.readers import read_document
from sra_pipelines.samples import sample_documents

from sra_rag import Engine, SamplingOptions

DIALOGUES = [
    json.loads(line)
    for line in Path(__file__).with_name("dialogues.jsonl").read_text(encoding="utf-8").splitlines()
]  # fmt: skip
CONVERSATION = "Who is the customer?\nBrackenfield Utilities Limited, since 2024."


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=[dialogue["follow_up"] for dialogue in DIALOGUES])
def test_complete_questions_are_told_from_the_others(dialogue):
    assert is_complete(dialogue["follow_up"]) is dialogue["complete"]


@pytest.mark.parametrize(
    "question",
    ["Why?", "And then?", "What does it cost?", "How much was that?", "Who signed it?", "And the other party?"],
)  # fmt: skip
def test_questions_that_point_back_are_not_complete(question):
    assert not is_complete(question)


@pytest.mark.parametrize(
    "question",
    [
        "What's the rent?",
        "Who\u2019s the landlord?",
        "List the parties.",
        "And summarise clause five.",
        "Who are the parties?",
    ],
)
def test_short_questions_are_complete(question):
    assert is_complete(question)


@pytest.mark.parametrize("question", ["List them.", "Show more.", "What's that?", "Name it.", "Who's he?"])
def test_short_questions_that_are_not_complete(question):
    assert not is_complete(question)


@pytest.mark.parametrize(
    ("rewritten", "question", "kept"),
    [
        ("Who is the supplier?", "And who is the supplier?", True),
        ("Who is the supplier of Brackenfield Utilities Limited?", "And who is the supplier?", True),
        ("Who is the customer?", "And who is the supplier?", False),
        ("Who is the supplier of Orrin Limited?", "And who is the supplier?", False),
        ("Orrin's rent was how much?", "How much was the rent?", False),
        ("Brackenfield's rent was how much?", "How much was the rent?", True),
        ("Does the rent of Brackenfield not include VAT?", "Does it include VAT?", False),
        ("Does the rent of Brackenfield not include VAT?", "Does it not include VAT?", True),
        ("What did Brackenfield pay in 2025?", "What did it pay in 2025?", True),
        ("What did Brackenfield pay in 2024?", "What did it pay in 2025?", False),
        ("What did Brackenfield pay in 2026?", "What did it pay?", False),
        ("What did Brackenfield pay to Pellworth?", "And what to Pellworth?", True),
        ("What did Brackenfield pay?", "And what to Pellworth?", False),
        ("What about a priority two incident?", "And a priority two incident?", True),
        ("What about a priority three incident?", "And a priority two incident?", False),
    ],
)
def test_a_rewritten_question_that_loses_or_adds_a_name_is_discarded(rewritten, question, kept):
    assert keeps_the_question(rewritten, question, CONVERSATION) is kept


def test_a_complete_question_does_not_reach_the_model(tiny_engine, word_embedding):
    document = Document(Path("lease.pdf"), (Page(0, "1", "The supplier is Pellworth."),))
    qa = DocumentQA(DocumentIndex([document], word_embedding), tiny_engine, context_tokens=300)
    chat = Chat(qa, history=[("Who is the customer?", "Brackenfield.")])
    read = tiny_engine.loaded.model.register_forward_hook(lambda *_: pytest.fail("the model was asked"))
    try:
        assert chat.standalone("And who is the supplier?") == "And who is the supplier?"
    finally:
        read.remove()


@pytest.mark.slow
def test_the_answer_to_most_follow_ups_is_found(embedded, embedding):
    """See docs/measurements.md; benchmarks/follow_ups.py prints each question."""
    index = DocumentIndex([read_document(path) for path in sample_documents()], embedding)
    qa = DocumentQA(index, Engine(embedded, options=SamplingOptions(max_new_tokens=64)), context_tokens=450)
    found = 0
    for dialogue in DIALOGUES:
        chat = Chat(qa, history=[(dialogue["first"], dialogue["answer"])], rewrite_timeout=None)
        passages = chat.retrieve(dialogue["follow_up"]).passages
        texts = [" ".join(p.text.split()) for p in passages if p.document == dialogue["document"]]
        found += any(" ".join(dialogue["text"].split()) in text for text in texts)
    assert found >= 13


@pytest.mark.parametrize(
    "question",
    [
        "Wie lange ist die K\u00fcndigungsfrist des Vertrags?",
        "Welche Fristen gibt es f\u00fcr die K\u00fcndigung?",
        "Quel est le loyer annuel du local ?",
        "Combien de jours de cong\u00e9 y a-t-il par an ?",
        "\u00bfCu\u00e1ntos d\u00edas de preaviso hay en el contrato?",
        "Wanneer eindigt het contract met de bank?",
        "Quem \u00e9 o fornecedor no contrato?",
        "Qual \u00e8 il canone annuo della locazione?",
    ],
)
def test_complete_questions_in_other_languages_are_not_rewritten(question):
    assert is_complete(question)


@pytest.mark.parametrize(
    "question",
    [
        "Und wie lange dauert sie?",
        "Was ist mit dem Vermieter?",
        "Wie hoch ist seine Kaution?",
        "Quelle est sa dur\u00e9e ?",
        "\u00bfCu\u00e1l es su duraci\u00f3n en el contrato?",
        "Wat is zijn adres in Utrecht?",
        "Qual \u00e9 a sua dura\u00e7\u00e3o no contrato?",
        "Qual \u00e8 la sua durata nel contratto?",
    ],
)
def test_follow_ups_in_other_languages_are_rewritten(question):
    assert not is_complete(question)
