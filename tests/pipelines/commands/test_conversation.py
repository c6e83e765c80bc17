"""``sra-rag chat`` over a pipe and in a terminal: questions, and the commands of its help."""

import io
import subprocess
import sys

import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.answering.chat import Chat
from sra_pipelines.commands.conversation import _Conversation

from sra_rag import SRAConfig
from tests.pipelines.server.test_server import lease_index
from tests.terminals import Terminal

__all__ = ["lease_index"]

QUESTION = "What is the yearly rent of the warehouse?"


@pytest.fixture
def converse(monkeypatch, capsys, lease_index, tiny_engine):
    """Send lines to a chat, and return it with its output."""

    def converse(*lines):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
        qa = DocumentQA(lease_index, tiny_engine, context_tokens=200)
        conversation = _Conversation(Chat(qa), None, SRAConfig(alpha=0.7))
        conversation.run()
        return conversation, capsys.readouterr().out

    return converse


@pytest.mark.parametrize("word", ["/quit", "/exit", "exit"])
def test_a_chat_ends_with_the_words_that_people_try(converse, word):
    _, out = converse(word, QUESTION)
    assert out == ""


def test_both_answers_the_last_question_as_it_was_asked(converse):
    conversation, out = converse(QUESTION, "And for how long?", "/both")
    assert conversation.last is not None
    assert conversation.last.question.endswith("And for how long?")
    assert conversation.last.question != "And for how long?"  # a follow-up is not searched alone
    assert out.count("prompt tokens") == 4
    # The setting of a chat is off, so that its other answer has the default settings.
    assert "Without reattention:" in out
    assert "With reattention (alpha 0.7, rows all, policy entropy):" in out


def test_commands_that_cannot_be_followed_say_why(converse):
    assert "There is no question yet." in converse("/both")[1]
    out = converse("/boht")[1]
    assert out.startswith("There is no command /boht.\nAsk a question")
    assert "neither a valid setting" in converse("/sra evidnce")[1]


@pytest.mark.slow
def test_a_terminal_edits_lines_takes_pasted_ones_as_one_question_and_ctrl_c_keeps_the_chat(tmp_path):
    (tmp_path / "pay.txt").write_text("The employee receives a gross monthly salary of EUR 4,250.")
    add = [sys.executable, "-m", "sra_rag", "index", "add", "pay.txt", "--to", "pay.index"]
    subprocess.run(add, cwd=tmp_path, check=True, capture_output=True)
    with Terminal("-m", "sra_rag", "chat", "pay.index", "--max-new-tokens", "100", cwd=tmp_path) as terminal:
        terminal.read_until("\n> ")
        terminal.send("half a question")
        terminal.interrupt()
        assert "press Ctrl-C again to quit" in terminal.read_until("\n> ")
        terminal.send("\x1b[200~What is the salary\nin a month?\x1b[201~\rX\x1b[D\x1b[3~")  # and an edited line
        first = terminal.read_until("\n> ")
        assert "4,250" in first
        assert first.count("prompt tokens") == 1
        terminal.send("Write a poem of forty verses about the sea.\r")
        terminal.read_until("asking")
        terminal.send("\x03")
        assert "(stopped)" in terminal.read_until("\n> ")
        terminal.interrupt()
        terminal.read_until("\n> ")
        terminal.interrupt()
        assert terminal.read_to_end() == 130
    assert "Traceback" not in terminal.text
