"""``sra-rag chat`` over a pipe: questions, and the commands of its help."""

import io

import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.answering.chat import Chat
from sra_pipelines.commands.conversation import _Conversation

from sra_rag import SRAConfig
from tests.pipelines.server.test_server import lease_index

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
