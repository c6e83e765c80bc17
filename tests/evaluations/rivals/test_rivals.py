"""Rivals: what each asks, that they see the same questions, and context-aware decoding by its definition."""

import dataclasses
import json

import pytest
import torch
from sra_evaluations import Comparison, compare
from sra_evaluations.examples import Example
from sra_evaluations.report.again import run_again
from sra_evaluations.rivals import RIVALS, Rival, parse_rival
from sra_evaluations.rivals.changed_prompts import asked
from sra_evaluations.rivals.context_aware import answer_with_context, likelihood_with_context
from sra_evaluations.rivals.passages import parts_of, ranking
from sra_evaluations.runs.measures import Measures
from sra_evaluations.runs.named_settings import Setting, parse_setting
from sra_pipelines.values import Passage

from sra_rag import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.generation.request import Cancellation

TEXTS = (
    "Passage 1 (Title: Bees)\nA hive holds up to sixty thousand bees in summer and far fewer in winter.",
    "Passage 2 (Title: Mount Etna)\nMount Etna is an active volcano on the east coast of Sicily, Italy.",
    "Passage 3 (Title: Chess)\nA game of chess is played on a board of sixty-four squares by two players.",
)
ETNA = "Mount Etna is an active volcano on the east coast of Sicily, Italy."
EXAMPLE = Example(
    "etna", "Answer briefly.", "\n\n".join(TEXTS), "Question: On which island is the volcano Etna?", ("Sicily",),
    gold=(ETNA,),
)  # fmt: skip


def change(name, example=EXAMPLE):
    return asked(example, Rival(name))


def test_the_passages_are_those_of_the_context_and_the_similar_one_is_first():
    parts = parts_of(EXAMPLE)
    assert parts.texts == TEXTS
    assert parts.joined([0, 1, 2]) == EXAMPLE.context
    assert ranking(EXAMPLE, parts)[0] == 1


def test_order_changes_and_nothing_else():
    first, last = change("best_first"), change("best_last")
    assert first.example.context.startswith(TEXTS[1])
    assert last.example.context.endswith(TEXTS[1])
    for one in (first, last):
        assert sorted(one.example.context.split("\n\n")) == sorted(TEXTS)
        assert (one.example.question, one.example.gold) == (EXAMPLE.question, EXAMPLE.gold)


def test_only_the_best_passage_is_left():
    only = change("only_best").example
    assert (only.context, only.gold) == (TEXTS[1], (ETNA,))
    wrong = Example("bees", "", EXAMPLE.context, "Question: How many squares has a chess board?", ("64",), gold=(ETNA,))
    assert change("only_best", wrong).example.context == TEXTS[2]
    assert change("only_best", wrong).example.gold == ()
    assert change("only_gold", wrong).example.context == TEXTS[1]


def test_the_best_passage_is_repeated_after_the_context():
    replayed = change("replay").example
    assert replayed.context == EXAMPLE.context
    assert replayed.question == f"{TEXTS[1]}\n\n{EXAMPLE.question}"


def test_emphasis_weighs_the_passage_that_retrieval_chose(tiny_engine):
    given = change("emphasis")
    assert (given.example, given.passages, given.weighed) == (EXAMPLE, list(TEXTS), 1)
    spans = tiny_engine.encode(EXAMPLE.prompt(), context=EXAMPLE.context, passages=list(TEXTS)).passages
    answers = []
    for weighed in range(3):
        prompt = dataclasses.replace(given, weighed=weighed).encoded(tiny_engine)
        sra = SRAConfig(evidence={"weight": 64, "look": ((0, 1),)})
        generation = tiny_engine.generate(prompt, sra=sra, max_new_tokens=4)
        assert generation.evidence.chosen == (weighed,)
        assert generation.evidence.spans == (spans[weighed],)
        assert generation.evidence.shares[weighed] == pytest.approx(1)
        answers.append(generation.token_ids)
    assert len(set(answers)) > 1


def test_passages_of_documents_keep_their_headings_and_pages():
    passages = tuple(Passage("guide", n, str(n + 1), text) for n, text in enumerate(TEXTS))
    context = "\n\n".join(f"[guide, page {n + 1}]\n{text}" for n, text in enumerate(TEXTS))
    example = Example("1", "", context, EXAMPLE.question, ("Sicily",), gold=(TEXTS[1],), passages=passages)
    last = change("best_last", example)
    assert [passage.page_index for passage in last.example.passages][-1] == 1
    assert last.example.context.endswith(f"[guide, page 2]\n{TEXTS[1]}")
    assert last.passages == last.example.passage_texts()
    assert change("emphasis_gold", example).weighed == 1


def test_what_has_no_passages_or_no_gold_is_asked_as_it_is():
    plain = Example("1", "", TEXTS[0], "", (TEXTS[1],), plain=True)
    alone = Example("2", "", TEXTS[0], "Question: Bees?", ("bees",))
    absent = Example("3", "", EXAMPLE.context, "Question: Etna?", ())
    assert change("best_last", plain).example is plain
    assert change("only_best", alone).example is alone
    assert change("only_gold", absent).example is absent
    assert asked(EXAMPLE, None).example is change("context_aware").example is EXAMPLE


@pytest.mark.parametrize("name", RIVALS)
def test_every_rival_is_written_as_it_is_read(name):
    setting = parse_setting(name)
    assert setting.name == name
    assert setting.rival.name == name
    assert Setting.from_dict(name, json.loads(json.dumps(setting.to_dict()))) == setting


def test_rivals_go_together_with_settings():
    setting = parse_setting("late:best_last+alpha=0.3,rows=after_context")
    assert setting == Setting("late", SRAConfig(alpha=0.3, rows="after_context"), Rival("best_last"))
    assert parse_setting("emphasis+evidence=4").sra.evidence.weight == 4
    assert parse_setting("context_aware=0.7").rival.strength == 0.7
    assert parse_setting("context_aware").rival.strength == 0.5
    assert parse_setting("alpha=0.3").rival is None
    assert parse_rival("evidence") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("emphasis+0.2", "needs evidence weights"),
        ("context_aware+0.2", "without reattention"),
        ("context_aware=0", "above 0"),
        ("context_aware=much", "is not a number"),
        ("best_last=2", "only context_aware has a strength"),
        ("best_last+much", "neither a valid setting"),
    ],
)
def test_what_does_not_go_together_is_refused(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_setting(text)


class Etna:
    """One question three times, so that one is timed and two are answered at once."""

    name = "etna"

    def examples(self, count, seed, count_tokens):
        return [Example(str(n), EXAMPLE.instruction, EXAMPLE.context, EXAMPLE.question, ("Sicily",), gold=(ETNA,))
                for n in range(count)]  # fmt: skip


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    from sra_rag import Engine

    settings = ["off", *(name for name in RIVALS if not name.startswith("emphasis")),
                "emphasis:emphasis+evidence=8,evidence.look=0.1+1.2", "best_last+alpha=0.3"]  # fmt: skip
    folder = tmp_path_factory.mktemp("rivals")
    return folder, compare(
        Engine(tiny), [Etna()], settings, to=folder, limit=3, measures=Measures(max_new_tokens=6, timed=1, batch_size=1)
    )


def test_what_a_search_found_reaches_the_model_and_not_the_rivals(tiny, tmp_path, monkeypatch):
    from sra_rag import Engine

    class Searched(Etna):
        def examples(self, count, seed, count_tokens):
            return [dataclasses.replace(EXAMPLE, passage_scores=(0.1, 0.9, 0.2))]

    given = []

    def spied(name, of_call):
        method = getattr(Engine, name)
        monkeypatch.setattr(
            Engine, name, lambda *args, **options: given.append((name, of_call(options))) or method(*args, **options)
        )

    spied("generate_batch", lambda options: (options["score_lists"], options["passage_lists"]))
    spied("answer_likelihood", lambda options: (options["passage_scores"], options["passages"]))
    measures = Measures(max_new_tokens=2, timed=1, batch_size=1)
    compare(Engine(tiny), [Searched()], ["off", "best_last"], to=tmp_path, limit=1, measures=measures)
    scores, texts = (0.1, 0.9, 0.2), list(TEXTS)
    assert ("generate_batch", ([scores], [texts])) in given
    assert ("answer_likelihood", (scores, texts)) in given
    assert ("generate_batch", ([None], [None])) in given
    assert ("answer_likelihood", (None, None)) in given


def test_every_rival_answers_every_example_and_is_held_against_off(run):
    folder, found = run
    assert found.baseline == "off"
    for name in found.settings:
        assert len(found.values("etna", name, "right")) == 3
        nats = found.values("etna", name, "gold_nats").values()
        assert len(nats) == 3
        assert max(nats) - min(nats) < 0.05  # the same question three times
        if name != "off":
            assert found.difference("gold_nats", name, task="etna").difference != 0, name
    assert "gold_attention" not in found.record("etna", "context_aware", found.examples("etna", "off")[0]).scores
    again = Comparison.read(folder)
    assert again.settings == found.settings
    command = run_again({**found.manifest, "tasks": {}}, [], {}).command
    for name in ("best_last", "context_aware", "best_last+alpha=0.3"):
        assert f"--sra {name}" in command


def test_rivals_that_keep_the_context_share_its_prefill(run):
    _, found = run
    example = found.examples("etna", "off")[1]
    cached = {name: found.record("etna", name, example).usage.cached_tokens for name in found.settings}
    whole = found.record("etna", "off", example).usage.prompt_tokens
    assert cached["replay"] > whole / 2
    assert cached["emphasis"] > whole / 2


def test_context_aware_decoding_takes_the_likeliest_token_of_its_definition(tiny_engine, tiny):
    generation = answer_with_context(tiny_engine, EXAMPLE, 0.5, max_new_tokens=4)
    assert generation.usage.completion_tokens == len(generation.token_ids) <= 4
    prompts = [
        tiny_engine.encode(prompt).token_ids
        for prompt in (EXAMPLE.prompt(), [{"role": "user", "content": f"Answer briefly.\n\n{EXAMPLE.question}"}])
    ]
    so_far = []
    for token in generation.token_ids:
        with torch.inference_mode():
            one, other = (
                torch.log_softmax(tiny.model(torch.tensor([[*prompt, *so_far]])).logits[0, -1], -1)
                for prompt in prompts
            )
        assert token == int((1.5 * one - 0.5 * other).argmax())
        so_far.append(token)


def test_the_likelihood_under_context_aware_decoding_is_that_of_its_definition(tiny_engine, tiny):
    found = likelihood_with_context(tiny_engine, EXAMPLE, "Sicily", 0.5)
    ids = tiny.tokenizer("Sicily", add_special_tokens=False).input_ids
    assert len(found.log_probabilities) == len(ids)
    without = tiny_engine.encode([{"role": "user", "content": f"Answer briefly.\n\n{EXAMPLE.question}"}]).token_ids
    with torch.inference_mode():
        one, other = (
            torch.log_softmax(tiny.model(torch.tensor([list(prompt)])).logits[0, -1], -1)
            for prompt in (tiny_engine.encode(EXAMPLE.prompt()).token_ids, without)
        )
    moved = torch.log_softmax(1.5 * one - 0.5 * other, -1)
    assert found.log_probabilities[0] == pytest.approx(float(moved[ids[0]]), abs=1e-3)
    plain = tiny_engine.answer_likelihood(EXAMPLE.prompt(), "Sicily", context=EXAMPLE.context, cancel=Cancellation())
    assert abs(found.nats - plain.nats) > 0.01
