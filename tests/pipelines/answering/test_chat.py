"""Conversations: what is remembered, how follow-up questions are looked up, and the two commands."""

import io
import json
import sys
from pathlib import Path

import pytest
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page
from sra_pipelines.answering.chat import Chat

from sra_rag.errors import ConfigError

QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"
PAGES = (
    "This agreement is made between Harl Shipping and the Port of Orrin.",
    "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March.",
    "Ferry tickets are sold at the kiosk beside the old lighthouse.",
)


@pytest.fixture
def chat(tiny_engine, embedding):
    document = Document(Path("lease.pdf"), tuple(Page(i, str(i + 1), text) for i, text in enumerate(PAGES)))
    return Chat(DocumentQA(DocumentIndex([document], embedding), tiny_engine, context_tokens=300))


def test_a_first_question_is_looked_up_as_it_is(chat):
    assert chat.standalone(QUESTION) == QUESTION
    answer = chat.ask(QUESTION)
    assert answer.question == QUESTION
    assert chat.history == [(QUESTION, answer.text)]


def test_what_cannot_be_a_question_is_not_looked_up(chat, monkeypatch):
    chat.ask(QUESTION, max_new_tokens=4)
    monkeypatch.setattr("sra_pipelines.answering.chat._LONGEST_REWRITE", 1)  # so the model is stopped after a word
    assert chat.standalone("When is it due?") == f"{QUESTION} When is it due?"


def test_rewriting_a_question_has_a_time_limit_of_its_own(chat):
    hurried = Chat(chat.qa, history=[(QUESTION, "82,400 crowns.")], rewrite_timeout=1e-6)
    assert hurried.standalone("When is it due?") == f"{QUESTION} When is it due?"
    answer = hurried.ask("When is it due?", max_new_tokens=40)  # which takes longer, and may
    assert answer.generation.timing.total_seconds > 1e-6
    assert answer.generation.usage.completion_tokens == 40
    with pytest.raises(ConfigError, match="rewrite_timeout=0"):
        Chat(chat.qa, rewrite_timeout=0)


def test_memory_has_a_budget(chat):
    short = Chat(chat.qa, memory_tokens=30, history=[("First?", "One."), ("Second?", "Two.")])
    assert [question for question, _ in short.history] == ["First?", "Second?"]
    short = Chat(chat.qa, memory_tokens=26, history=[("First?", "One."), ("Second?", "two " * 20)])
    assert [question for question, _ in short.history] == ["Second?"]
    short.reset()
    assert short.history == []
    with pytest.raises(ConfigError, match="memory_tokens=0"):
        Chat(chat.qa, memory_tokens=0)


def test_an_answer_that_was_not_read_to_its_end_is_not_remembered(chat):
    stream = chat.stream(QUESTION)
    next(stream)
    stream.close()
    assert chat.history == []


@pytest.fixture
def stored(tmp_path, make_pdf):
    from sra_rag.cli import main

    folder = tmp_path / "index"
    path = make_pdf("lease.pdf", *PAGES)
    sys.argv = ["sra-rag", "index", "add", str(path), "--to", str(folder)]
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    return folder


def run(monkeypatch, *arguments, typed=""):
    from sra_rag.cli import main

    monkeypatch.setattr(sys, "argv", ["sra-rag", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_chat_command(stored, monkeypatch, capsys):
    typed = f"{QUESTION}\n/sra off\n/both\n/sra nonsense\n/reset\n/what\n/quit\nnever asked\n"
    assert run(monkeypatch, "chat", str(stored), "--max-new-tokens", "24", typed=typed) in (0, None)
    out = capsys.readouterr().out
    assert out.count("sources: ") == 3
    assert "lease, page 2" in out
    assert "Current setting: without reattention." in out
    assert "With reattention (evidence" in out  # the default of the commands
    assert "sra-rag: " in out  # nonsense is refused and the conversation goes on
    assert "/reset        clear" in out


def test_serve_refuses_an_open_address_without_keys(stored, monkeypatch, capsys):
    monkeypatch.delenv("SRA_RAG_API_KEYS", raising=False)
    assert run(monkeypatch, "serve", str(stored), "--host", "0.0.0.0") == 2  # noqa: S104
    assert "API keys are required" in capsys.readouterr().err


def test_history_survives_json(chat):
    chat.ask(QUESTION, max_new_tokens=4)
    again = Chat(chat.qa, history=[tuple(turn) for turn in json.loads(json.dumps(chat.history))])
    assert again.history == chat.history
