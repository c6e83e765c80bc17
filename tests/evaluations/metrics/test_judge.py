"""A judge: LlamaIndex's evaluators as they are, with LLMs of both frameworks; what cannot be read is not scored."""

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_sra import ChatSRAHuggingFace
from llama_index.core.evaluation import FaithfulnessEvaluator
from llama_index.core.llms import ChatMessage
from llama_index.llms.sra import SRAHuggingFaceLLM
from sra_evaluations.examples import Example
from sra_evaluations.metrics.judge import JudgeScorer, load_judge
from sra_evaluations.metrics.langchain_llm import LangChainLLM
from sra_pipelines.values import Passage

from sra_rag.errors import ConfigError, ModelLoadError

EXAMPLE = Example(
    "1", "Answer from the passages.", "The lease of the warehouse ends in June.", "Question: When does the lease end?",
    ("June", "in June"), passages=(Passage("a.pdf", 0, "1", "The lease of the warehouse ends in June."),),
)  # fmt: skip


def scripted(*replies):
    """A LangChain chat model that says these things, one after the other."""
    return FakeListChatModel(responses=list(replies))


@pytest.mark.parametrize(
    ("replies", "scores"),
    [
        (["YES", "4.0\nSame month."], {"judged_faithful": 1.0, "judged_correct": 0.75}),
        (["No, it does not.", "1"], {"judged_faithful": 0.0, "judged_correct": 0.0}),
        (["YES", "Score: 5\nRight."], {"judged_faithful": 1.0, "judged_correct": 1.0}),
        (["I eye it.", "\n2.5"], {"judged_correct": 0.375}),
        (["yes", "It is right."], {"judged_faithful": 1.0}),
    ],
)
def test_verdicts_become_scores(replies, scores, caplog):
    judge = JudgeScorer(scripted(*replies))
    assert judge("In June.", EXAMPLE) == scores
    assert judge.unread == 2 - len(scores)
    assert len(caplog.records) == judge.unread


def test_only_what_applies_is_asked():
    unanswerable = Example("2", "", "Nothing.", "Question: Who?", ())
    assert JudgeScorer(scripted("YES", "5"))("The documents do not say.", unanswerable) == {"judged_faithful": 1.0}
    assert JudgeScorer(scripted("3"), verdicts=["correct"])("June", EXAMPLE) == {"judged_correct": 0.5}
    assert JudgeScorer(scripted("YES"))("  ", EXAMPLE) == {}


def test_the_judge_reads_question_answer_passages_and_gold():
    seen = []

    class Listening(FakeListChatModel):
        def _call(self, messages, *args, **kwargs):
            seen.append("\n".join(str(message.content) for message in messages))
            return super()._call(messages, *args, **kwargs)

    JudgeScorer(Listening(responses=["YES", "5"]))("In the sixth month.", EXAMPLE)
    faithful, correct = seen
    assert "In the sixth month." in faithful
    assert EXAMPLE.passages[0].text in faithful
    assert all(part in correct for part in ("When does the lease end?", "In the sixth month.", "June or in June"))


@pytest.fixture(scope="module")
def small(embedded):
    return SRAHuggingFaceLLM(model=embedded, max_new_tokens=8)


def test_our_own_model_judges_as_the_evaluators_do(small):
    text = EXAMPLE.passages[0].text
    faithful = FaithfulnessEvaluator(llm=small).evaluate(query="", response="June", contexts=[text])
    judge = JudgeScorer(small, verdicts=["faithful"])
    assert judge.llm is small
    assert any(word in faithful.feedback.lower() for word in ("yes", "no"))
    assert judge("June", EXAMPLE) == {"judged_faithful": faithful.score}


def test_the_same_model_says_the_same_through_langchain(embedded, small):
    through = LangChainLLM(ChatSRAHuggingFace(engine=embedded, max_tokens=8))
    prompt = "Is the sky green? Answer yes or no."
    message = ChatMessage(role="user", content=prompt)
    direct = small.chat([message]).message.content
    assert direct
    assert through.chat([message]).message.content == direct
    assert through.complete(prompt).text == direct
    assert [piece.text for piece in through.stream_complete(prompt)][-1] == direct


def test_a_judge_from_the_command_line(tiny_engine, tmp_path, monkeypatch):
    shared = load_judge("tiny", tiny_engine.loaded)
    assert shared.llm._engine.loaded.model is tiny_engine.loaded.model
    assert shared.llm._engine is not tiny_engine
    with pytest.raises(ModelLoadError):
        load_judge(str(tmp_path / "nothing"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"openai:gpt-5.*OPENAI_API_KEY"):
        load_judge("openai:gpt-5")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert load_judge("openai:gpt-5").llm.metadata.model_name == "gpt-5"


def test_what_is_no_judge_is_refused():
    with pytest.raises(ConfigError, match="str is no judge"):
        JudgeScorer("embedded")
    with pytest.raises(ConfigError, match="verdicts"):
        JudgeScorer(scripted("YES"), verdicts=["kind"])
