"""Whole runs: paired, resumed, shared; and what a comparison says of known numbers."""

import json
import threading

import pytest
import sra_evaluations.runs.run_task as running
from sra_evaluations import Comparison, compare
from sra_evaluations.examples import Example
from sra_evaluations.results.record import Record
from sra_evaluations.runs.measures import Measures
from sra_evaluations.runs.rescoring import rescored
from sra_pipelines.values import Passage

from sra_rag import SRAConfig
from sra_rag.errors import ConfigError

SETTINGS = ["off", "alpha=0.3,rows=after_context", "alpha=0.3", "zero:alpha=0"]
MEASURES = Measures(max_new_tokens=6, timed=1)


class Rents:
    """Three questions with the gold at different places, one unanswerable, one text to go on with."""

    name = "rents"

    def examples(self, count, seed, count_tokens):
        rents = [f"The rent of house {n} is {n}1,{n}00 crowns." for n in range(1, 19)]
        context = " ".join(rents)
        made = [
            Example(f"{n}", "Answer briefly.", context, f"What is the rent of house {n}?", (f"{n}1,{n}00",),
                    features={"position": n}, gold=(rents[n - 1],))
            for n in (1, 4)
        ]  # fmt: skip
        made.append(Example("none", "Answer briefly.", context, "What is the rent of house 77?", ()))
        made.append(Example("plain", "", context[:120], "", (context[120:200],), plain=True))
        return made[:count]


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    from sra_rag import Engine

    folder = tmp_path_factory.mktemp("run")
    return folder, compare(Engine(tiny), [Rents()], SETTINGS, to=folder, measures=MEASURES)


def test_every_setting_sees_every_example(run):
    _, found = run
    assert found.tasks == ["rents"]
    assert found.baseline == "off"
    for name in found.settings:
        assert len(found.values("rents", name, "right")) == 3
        assert len(found.values("rents", name, "gold_nats_per_token")) == 3
        assert len(found.values("rents", name, "gold_attention")) == 2


def test_alpha_zero_is_off_in_every_number(run):
    _, found = run
    for metric in found.metrics("rents"):
        off, zero = (found.values("rents", name, metric) for name in ("off", "zero"))
        # Prefills that are taken from an earlier request round otherwise than whole ones.
        rounding = 0.05 if metric.startswith("gold") else 0
        assert zero == pytest.approx(off, abs=rounding, rel=0), metric


def test_sharpening_shows_in_likelihood_attention_and_entropy(run):
    _, found = run
    assert found.difference("gold_nats", "alpha=0.3").difference != 0
    for example in found.values("rents", "off", "gold_attention"):
        off, sharpened = (found.record("rents", name, example) for name in ("off", "alpha=0.3"))
        assert len(off.entropy) == 2
        assert {len(layer) for layer in off.entropy} == {4}
        assert sum(map(sum, sharpened.entropy)) < sum(map(sum, off.entropy))


def test_prefills_are_shared_where_a_setting_leaves_the_context(run):
    _, found = run
    [example] = [name for name in found.values("rents", "off", "gold_attention") if name.startswith("4@")]
    cached = {name: found.record("rents", name, example).usage.cached_tokens for name in found.settings}
    assert cached["off"] < cached["alpha=0.3,rows=after_context"]
    [timed] = [name for name in found.values("rents", "off", "gold_attention") if name.startswith("1@")]
    assert {found.record("rents", name, timed).usage.cached_tokens for name in found.settings} == {0}
    assert found.values("rents", "off", "prefill_seconds").keys() == {timed}


def test_a_run_goes_on_where_it_stopped_and_asks_nothing_twice(tiny, tmp_path, run, monkeypatch):
    from sra_rag import Engine

    stop, done = threading.Event(), []
    stopped_at = 6  # one example alone with four settings, then two at once with the first

    def advance(_):
        def on_progress(n, total):
            done.append((n, total))
            if n == stopped_at:
                stop.set()

        return on_progress

    engine = Engine(tiny)
    compare(engine, [Rents()], SETTINGS, to=tmp_path, measures=MEASURES, on_progress=advance, stop=stop)
    assert done[-1] == (stopped_at, 16)
    measured = []
    measure = running._scores_of_answer
    monkeypatch.setattr(running, "_scores_of_answer", lambda *args: measured.append(1) or measure(*args))
    again = compare(engine, [Rents()], SETTINGS, to=tmp_path, measures=MEASURES)
    assert len(measured) == 16 - stopped_at
    assert {r.answered_at_once for r in again.records} == {1, 2, None}
    _, whole = run
    assert {(r.example, r.setting): r.answer for r in again.records} == {
        (r.example, r.setting): r.answer for r in whole.records
    }


def test_what_was_written_is_what_is_read(run, tiny):
    folder, found = run
    read = Comparison.read(folder)
    assert read.records == found.records
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["model"]["parameters"] == tiny.model.num_parameters()
    assert {"torch", "transformers", "sra-rag"} <= manifest["versions"].keys()
    assert manifest["settings"]["alpha=0.3"] == SRAConfig(alpha=0.3).to_dict()


def test_answers_are_scored_anew_without_asking(run):
    folder, found = run
    again = rescored(folder, [lambda said, example: {"length": len(said), "f1": 0.25}])
    for before, after in zip(found.records, again.records, strict=True):
        if before.answer is not None:
            assert after.scores["length"] == len(before.answer)
            assert after.scores["f1"] == 0.25
        rest = {name: value for name, value in before.scores.items() if name != "f1"}
        assert {name: after.scores[name] for name in rest} == rest
    assert Comparison.read(folder).records == found.records


def test_an_example_survives_json():
    passage = Passage("a", 1, "2", "text", 0.5)
    example = Example("1", "i", "c", "q", ("x", "y"), True, {"p": 0.5}, ("c",), (passage,), (("a", 1),))
    assert Example.from_dict(json.loads(json.dumps(example.to_dict()))) == example


def made_up(scores, metric="right"):
    """A comparison of given values of one metric: setting -> list."""
    manifest = {"settings": {name: None if name == "off" else {} for name in scores}, "tasks": {"t": {}}}
    records = [
        Record("t", str(n), name, {metric: value}, {"position": n % 2})
        for name, values in scores.items()
        for n, value in enumerate(values)
    ]
    return Comparison(manifest, records)


def test_a_verdict_needs_interval_and_corrected_p():
    off = [0.0] * 40
    found = made_up({"off": off, "better": [1.0] * 12 + [0.0] * 28, "noise": [1.0] * 2 + [0.0] * 38})
    assert found.verdict("better", task="t") == "helps"
    assert found.verdict("noise", task="t") == "no difference shown"
    worse = made_up({"off": [1.0] * 40, "worse": [0.0] * 12 + [1.0] * 28})
    assert worse.verdict("worse", task="t") == "hurts"
    better, hurt = found.changed("t", "better")
    assert (len(better), len(hurt)) == (12, 0)


def test_of_costs_less_is_better():
    values = {"off": [5.0] * 20, "cheap": [4.0 + 0.01 * n for n in range(20)]}
    found = made_up(values, "gold_nats_per_token")
    assert found.headline("t") == "gold_nats_per_token"
    assert found.verdict("cheap", task="t") == "helps"


def test_parts_of_a_task_are_compared_on_their_own():
    found = made_up({"off": [0.0, 0.0] * 10, "one": [1.0, 0.0] * 10})
    assert found.features("t", "position") == [0, 1]
    assert found.difference("right", "one", where={"position": 0}).difference == 1
    assert found.difference("right", "one", where={"position": 1}).difference == 0
    with pytest.raises(ConfigError, match="No example has"):
        found.difference("right", "one", where={"position": 7})
    with pytest.raises(ConfigError, match="No example has"):
        found.difference("nothing", "one")


def test_only_the_latest_examples_of_a_task_count():
    found = made_up({"off": [0.0, 1.0, 0.0], "one": [1.0, 1.0, 1.0]})
    names = [record.example for record in found.records[:3]]
    manifest = found.manifest | {"tasks": {"t": {"names": names[:2]}}}
    assert len(Comparison(manifest, found.records).values("t", "one", "right")) == 2
    assert len(Comparison(found.manifest, found.records).values("t", "one", "right")) == 3


class TooLong:
    """One text that fits, one that is longer than the window."""

    name = "too-long"

    def examples(self, count, seed, count_tokens):
        texts = {"fits": "The rent is due. " * 5, "long": "The rent is due. " * 2000}
        return [Example(name, "", text[:-20], "", (text[-20:],), plain=True) for name, text in texts.items()]


def test_what_is_longer_than_the_window_is_left_out_and_counted(tiny, tmp_path, caplog):
    from sra_rag import Engine

    found = compare(Engine(tiny), [TooLong()], ["off"], to=tmp_path, measures=MEASURES)
    assert len(found.values("too-long", "off", "gold_nats_per_token")) == 1
    [message] = [record.getMessage() for record in caplog.records if record.name == "sra_evaluations.runs.compare"]
    assert message.startswith("too-long: 1 of 2 examples are longer")
    assert "long" in message


def test_what_cannot_be_run_is_refused_before_anything_is_written(tiny, tmp_path):
    from sra_rag import Engine

    for tasks, settings in ((["nothing"], ["off"]), ([], ["off"]), ([Rents()], ["alpha=-1"])):
        with pytest.raises(ConfigError):
            compare(Engine(tiny), tasks, settings, to=tmp_path / "run")
    assert not (tmp_path / "run").exists()
