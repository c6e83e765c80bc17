"""Calibration: questions from text, candidates at equal harm, a choice that is never worse than off; and whole runs."""

import dataclasses
import json
import re
import threading
import time
from pathlib import Path

import pytest
from sra_evaluations.calibration import CalibrationOptions, calibrate, search
from sra_evaluations.calibration.candidates import head_shapes, layer_shapes, strength_at
from sra_evaluations.calibration.cloze import make_cloze
from sra_evaluations.calibration.harm import HARM_TASKS, harm_examples, measured_harm
from sra_evaluations.calibration.profile import make_profile
from sra_evaluations.calibration.search import _affordable
from sra_evaluations.calibration.work import Deadline
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.record import Record
from sra_pipelines import DocumentIndex, read_document
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.samples import sample_documents

from sra_rag import Engine, SRAConfig
from sra_rag.errors import ConfigError


def words(text):
    return len(text.split())


@pytest.fixture(scope="module")
def agreement(embedding):
    [path] = [path for path in sample_documents() if "agreement" in path.name]
    return DocumentIndex([read_document(path)], embedding)


@pytest.fixture(scope="module")
def questions(agreement):
    return make_cloze(Retriever(agreement), 30, 0, 300, words)


def test_questions_ask_for_what_stands_in_the_passages(questions):
    assert len(questions) == 30
    for question in questions:
        [answer] = question.answers
        [gold] = question.gold
        sentence = question.question.removeprefix("Sentence: ")
        assert sentence.count("_____") == 1
        assert answer not in sentence
        assert sentence.replace("_____", answer) in " ".join(gold.split())
        assert gold in question.context
        assert words(question.context) <= 330
    assert {question.features["kind"] for question in questions} == {"figure", "name", "date"}
    assert {question.features["position"] for question in questions} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert len({question.gold for question in questions}) == 30


def test_questions_are_the_same_for_a_seed(agreement, questions):
    assert make_cloze(Retriever(agreement), 30, 0, 300, words) == questions
    assert make_cloze(Retriever(agreement), 30, 1, 300, words) != questions


def test_text_with_nothing_to_ask_for_is_refused(tmp_path, embedding):
    path = tmp_path / "dull.txt"
    path.write_text("nothing at all is said here by anyone about anything that could be asked for later on.")
    index = DocumentIndex([read_document(path)], embedding)
    with pytest.raises(ConfigError, match="Give documents"):
        make_cloze(Retriever(index), 5, 0, 300, words)


def test_harm_is_measured_on_three_kinds_of_text(agreement):
    made = harm_examples(agreement.passages(), 0, words)
    assert tuple(made.searched) == HARM_TASKS
    assert [len(examples) for examples in made.searched.values()] == [4, 5, 1]
    for task, tokens in zip(HARM_TASKS[1:], (130, 1000), strict=True):
        for example in made.searched[task] + made.unseen[f"unseen {task}"]:
            assert example.plain
            assert words(example.context + example.answers[0]) == pytest.approx(tokens, rel=0.1)
    assert harm_examples(agreement.passages(), 1, words).searched[HARM_TASKS[1]] != made.searched[HARM_TASKS[1]]


def test_finalists_are_checked_on_texts_that_the_search_did_not_see(agreement):
    made = harm_examples(agreement.passages(), 0, words)
    assert tuple(made.unseen) == tuple(f"unseen {task}" for task in HARM_TASKS)
    for task in HARM_TASKS:
        searched, unseen = made.searched[task], made.unseen[f"unseen {task}"]
        assert len(unseen) > len(searched) or task == HARM_TASKS[2]
        assert not {example.sha256() for example in searched} & {example.sha256() for example in unseen}


@pytest.mark.parametrize(("a", "b"), [(0.1, 0.0), (0.05, 0.3), (0.0, 0.5), (-0.02, 0.4)])
def test_the_strength_that_does_a_given_harm_is_found(a, b):
    def harm(alpha):
        return a * alpha + b * alpha**2

    found = strength_at(0.02, [(x, harm(x)) for x in (0.2, 0.1)], most=5.0)
    assert harm(found) == pytest.approx(0.02)


def test_what_does_no_harm_may_be_as_strong_as_is_allowed():
    assert strength_at(0.02, [(0.2, -0.01), (1.0, -0.3)], most=1.0) == 1.0
    assert strength_at(0.02, [(0.2, 0.0)], most=1.0) == 1.0
    assert strength_at(0.02, [(0.2, 0.08)], most=1.0) == pytest.approx(0.1)


def test_shapes_cover_policies_layers_and_bounds():
    shapes = layer_shapes(30)
    assert [shape.name for shape in shapes[:3]] == ["entropy", "constant", "focus"]
    assert {shape.layers for shape in shapes if shape.layers != "all"} == {
        tuple(range(10)), tuple(range(10, 20)), tuple(range(20, 30)),
    }  # fmt: skip
    assert {shape.policy for shape in shapes if shape.bounds == "observed"} == {"entropy", "focus"}
    assert shapes[0].settings(0.2, "after_context") == SRAConfig(alpha=0.2, rows="after_context")


def test_heads_that_help_in_every_example_come_first():
    steady, loud, hurting = -1.0, -9.0, 2.0
    gradients = [
        [[steady + 0.01 * n, loud if n == 0 else 8.0], [hurting, -0.5 - 0.001 * n], *[[1.0, 1.0]] * 4] for n in range(8)
    ]
    shapes = head_shapes(gradients)
    assert {shape.name for shape in shapes} >= {"constant, best 10% of heads"}
    [best] = [shape for shape in shapes if shape.name == "constant, best 10% of heads"]
    chosen = {(layer, head) for layer, row in enumerate(best.heads) for head, on in enumerate(row) if on}
    assert chosen == {(1, 1)}  # the smallest spread for its size
    settings = best.settings(0.3, "all")
    assert settings.alpha[1] == (0.0, 0.3)
    assert settings.alpha[0] == (0.0, 0.0)


def made_up(values):
    """A comparison whose task ``confirmation`` has given values: setting -> metric -> list."""
    manifest = {
        "settings": {name: None if name == "off" else {} for name in values},
        "model": {}, "versions": {}, "machine": {}, "tasks": {},
    }  # fmt: skip
    scores = {}
    for name, metrics in values.items():
        for metric, numbers in metrics.items():
            for n, value in enumerate(numbers):
                scores.setdefault((str(n), name), {})[metric] = value
    return Comparison(manifest, [Record("confirmation", *key, found) for key, found in scores.items()])


def test_a_part_of_the_texts_proves_no_bound_on_harm(agreement):
    texts = {"confirmation": harm_examples(agreement.passages(), 0, words).searched[HARM_TASKS[1]]}
    found = made_up({"off": {"gold_nats_per_token": [2.0] * 5}, "one": {"gold_nats_per_token": [2.5] * 4}})
    assert measured_harm(found, "one", texts) == {}
    assert measured_harm(found, "one", texts | {"not begun": []}) == {}
    found = made_up({"off": {"gold_nats_per_token": [2.0] * 5}, "one": {"gold_nats_per_token": [2.5] * 5}})
    assert measured_harm(found, "one", texts)["confirmation"].difference == pytest.approx(0.5)


FINALISTS = {"one": SRAConfig(alpha=0.1), "two": SRAConfig(alpha=0.2)}
LIKELIER = [5.0 + 0.01 * n for n in range(40)]
RIGHT = {"off": [0.0] * 40, "one": [1.0] * 10 + [0.0] * 30, "two": [1.0] * 20 + [0.0] * 20}


def chosen(right, nats=None, judged_by="answers"):
    nats = nats or dict.fromkeys(right, [6.0] * 40)
    found = made_up({name: {"right": right[name], "gold_nats": nats[name]} for name in right})
    return make_profile(found, FINALISTS, {}, judged_by=judged_by, options={})


def test_what_helps_most_is_chosen():
    profile = chosen(RIGHT)
    assert profile.chosen == "two"
    assert profile.sra == FINALISTS["two"]
    assert profile.evidence["confirmation"]["two"]["right"]["n"] == 40


def test_what_does_not_help_beyond_chance_is_off():
    profile = chosen({"off": [0.0] * 40, "one": [1.0] * 3 + [0.0] * 37, "two": [0.0] * 40})
    assert profile.chosen == "off"
    assert not profile.sra.enabled
    assert "beyond chance" in profile.reason


def test_what_helps_one_measure_and_hurts_the_other_is_not_chosen():
    nats = {"off": [5.0 + 0.01 * n for n in range(40)], "one": LIKELIER, "two": [7.0 + 0.02 * n for n in range(40)]}
    assert chosen(RIGHT, nats).chosen == "one"


def test_likelihood_judges_where_it_is_asked_to():
    right = dict.fromkeys(RIGHT, [0.0] * 40)
    nats = {"off": [6.0 + 0.02 * n for n in range(40)], "one": LIKELIER, "two": [6.0 + 0.02 * n for n in range(40)]}
    assert chosen(right, nats).chosen == "off"
    assert chosen(right, nats, judged_by="likelihood").chosen == "one"


def test_without_confirmation_it_is_off():
    found = made_up({"off": {"right": [0.0]}})
    for finalists, reason in ((FINALISTS, "Stopped before"), ({}, "No candidate")):
        profile = make_profile(Comparison(found.manifest, []), finalists, {}, judged_by="answers", options={})
        assert (profile.chosen, profile.sra.enabled) == ("off", False)
        assert reason in profile.reason


def test_a_profile_is_a_file_of_settings(tmp_path):
    path = tmp_path / "profile.json"
    chosen(RIGHT).to_json(path)
    assert SRAConfig.from_json(path) == FINALISTS["two"]
    assert json.loads(path.read_text())["evidence"]["options"] == {}


def test_where_time_is_short_fewer_candidates_are_ranked():
    candidates = {str(n): SRAConfig(alpha=0.1 * (n + 1)) for n in range(10)}
    assert _affordable(candidates, 10, 30, 2) == candidates
    assert _affordable(candidates, 0.0, 1, 2) == candidates  # all known from an earlier run
    assert list(_affordable(candidates, 10, 15, 2)) == ["0", "1", "2", "3", "4"]
    assert list(_affordable(candidates, 10, -1, 2)) == ["0", "1"]


def test_time_is_up_at_the_deadline_or_when_the_user_says_so():
    stop = threading.Event()
    later = Deadline(time.monotonic() + 100, stop)
    assert not later.is_set()
    assert Deadline(time.monotonic() - 1).is_set()
    assert Deadline(time.monotonic() + 100, Deadline(0.0)).is_set()
    stop.set()
    assert later.is_set()


@pytest.mark.parametrize(
    ("name", "value"), [("minutes", 0), ("questions", -1), ("harm", -0.1), ("judged_by", "chance"), ("finalists", 0)]
)
def test_options_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        CalibrationOptions(**{name: value})


def test_too_few_questions_are_refused(tiny, tmp_path, embedding):
    path = tmp_path / "short.txt"
    path.write_text("The rent that the tenant of the house has to pay each year is 82,400 crowns in all.")
    index = DocumentIndex([read_document(path)], embedding)
    with pytest.raises(ConfigError, match="at least 16 are needed"):
        calibrate(Engine(tiny), index, tmp_path / "work")


def test_a_run_without_time_is_off_and_goes_on_later(tiny, agreement, tmp_path):
    options = CalibrationOptions(minutes=1e-6, questions=16, tokens=200)
    profile = calibrate(Engine(tiny), agreement, tmp_path / "work", options)
    assert profile.chosen == "off"
    assert not profile.sra.enabled
    assert profile.evidence["confirmation"] == {}
    again = calibrate(Engine(tiny), agreement, tmp_path / "work", dataclasses.replace(options, minutes=2e-6))
    assert again.chosen == "off"


def test_the_code_in_the_document_runs(tiny, agreement, tmp_path, monkeypatch, capsys):
    # Its steps, with the tiny model and without the time: a whole calibration takes minutes and has a test below.
    text = (Path(__file__).parents[3] / "docs" / "calibration.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sra_rag.load_model", {"embedded": tiny}.__getitem__)
    monkeypatch.setattr("sra_pipelines.open_index", {"contracts.index": agreement}.__getitem__)
    assert code.count("minutes=60") == 1
    exec(compile(code.replace("minutes=60", "minutes=1e-6, questions=16, tokens=200"), "calibration.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.startswith("off ")
    assert json.loads(Path("profile.json").read_text())


def test_measurements_of_other_questions_are_not_gone_on_with(tiny, agreement, tmp_path):
    options = CalibrationOptions(minutes=1e-6, questions=16, tokens=200)
    calibrate(Engine(tiny), agreement, tmp_path / "work", options)
    with pytest.raises(ConfigError, match="questions differ"):
        calibrate(Engine(tiny), agreement, tmp_path / "work", dataclasses.replace(options, tokens=150))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_whole_calibration(request, count, agreement, tmp_path, monkeypatch):
    model = request.getfixturevalue(count("embedded", "tiny"))
    # Fewer shapes and questions, and more time than they take on a slow machine: the bound on time has other tests.
    monkeypatch.setattr(search, "layer_shapes", lambda layers: layer_shapes(layers)[:2])
    monkeypatch.setattr(search, "head_shapes", lambda gradients: head_shapes(gradients)[:1])
    monkeypatch.setattr(search, "_GRADIENTS", 4)
    options = CalibrationOptions(minutes=120, questions=20, tokens=200, finalists=1, max_new_tokens=8)
    done = []

    def start(doing):
        done.append(doing)
        return lambda n, total: None

    profile = calibrate(Engine(model), agreement, tmp_path / "work", options, on_progress=start)
    assert "which heads matter" in done
    searched = profile.evidence["search_nats"]
    assert len(searched) >= 6, profile.reason
    assert all(found["n"] >= 4 for found in searched.values())
    assert {name.split(";")[0].split(",")[0] for name in searched} >= {"entropy", "constant"}
    for harm in profile.evidence["harm_nats_a_token"].values():
        assert set(harm) == {f"unseen {task}" for task in HARM_TASKS}
    if profile.chosen != "off":
        assert profile.evidence["confirmation"][profile.chosen]["right"]["low"] > 0
