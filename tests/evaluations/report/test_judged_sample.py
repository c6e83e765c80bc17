"""Answers to read by hand, and figures to give away."""

import json

import pytest
from sra_evaluations import Comparison
from sra_evaluations.examples import Example
from sra_evaluations.report.judged_sample import judged_sample, write_sample
from sra_evaluations.report.shareable import shareable
from sra_evaluations.results.record import Record

from sra_rag import SRAConfig

SECRET = "Zebulon Quartermaine"
SETTINGS = {
    "off": None,
    "alpha=0.3": SRAConfig(alpha=0.3).to_dict(),
    f"for {SECRET}": SRAConfig(alpha=0.1).to_dict(),
    "best_last": {"rival": "best_last", "sra": None},
}
TASKS = ["multi-document:data=/home/zebulon/rows.jsonl,passages=7,distractors=similar", "/home/zebulon/mine.jsonl"]


@pytest.fixture
def comparison():
    manifest = {
        "format": 1,
        "model": {"name": f"/home/{SECRET}/model", "server": "http://zebulon:8000", "dtype": "float32",
                  "weights_sha256": "ab" * 32},
        "versions": {"python": "3.11"},
        "machine": {"cores": 2},
        "seed": 0,
        "max_new_tokens": 64,
        "settings": SETTINGS,
        "tasks": {task: {"examples": 10, "sha256": "cd" * 32} for task in TASKS},
    }  # fmt: skip
    records = [
        Record(task, f"{SECRET}-{n}", setting, {"right": float((n + at) % 3 == 0), "f1": 0.5},
               {"position": n % 5 / 4, "document": SECRET}, answer=f"{SECRET} said {n}.")
        for task in TASKS
        for at, setting in enumerate(SETTINGS)
        for n in range(10)
    ]  # fmt: skip
    return Comparison(manifest, records)


def examples_of(comparison):
    return {
        (record.task, record.example): Example(record.example, "", SECRET, "Question: Who?", (SECRET,)).to_dict()
        for record in comparison.records
    }


def test_a_sample_has_right_and_wrong_answers_of_all_tasks_and_settings(comparison):
    sample = judged_sample(comparison, examples_of(comparison), 16)
    assert len(sample) == 16
    kinds = {(answer.task, answer.setting, answer.scores["right"]) for answer in sample}
    assert len(kinds) == 2 * len(SETTINGS) * 2
    assert judged_sample(comparison, examples_of(comparison), 16) == sample
    every = judged_sample(comparison, examples_of(comparison), 1000)
    assert len(every) == len({(answer.task, answer.setting, answer.example) for answer in every}) == 80


def test_a_sample_shows_what_is_needed_to_judge(comparison):
    text = write_sample(judged_sample(comparison, examples_of(comparison), 2))
    assert text.count("question: Who?") == text.count(f"gold:     {SECRET}") == text.count("by hand:") == 2
    assert "RIGHT (right 1" in text
    assert "WRONG (right 0" in text
    assert "2 judged answers" in text
    unanswerable = Example("1", "", "", "Who?", ())
    records = [Record("t", "1", "off", {"right": 1.0}, answer="The documents do not say.")]
    manifest = {"settings": {"off": None}, "tasks": {"t": {}}}
    [one] = judged_sample(Comparison(manifest, records), {("t", "1"): unanswerable.to_dict()}, 5)
    assert "(the documents do not contain the answer)" in write_sample([one])


def test_what_is_shared_has_the_figures_and_none_of_the_texts(comparison):
    report = shareable(comparison)
    written = json.dumps(report)
    for secret in (SECRET, "Zebulon", "zebulon", "Quartermaine", "/home", "jsonl", "http"):
        assert secret not in written
    assert list(report["settings"]) == ["off", "alpha=0.3", "setting 3", "best_last"]
    assert report["model"] == {"dtype": "float32", "weights_sha256": "ab" * 32}
    one, own = report["tasks"]
    assert (one["task"], own["task"]) == ("multi-document", "own")
    assert one["options"]["passages"] == 7
    assert one["options"]["distractors"] == "similar"
    assert not {"data", "embedding"} & one["options"].keys()
    right = one["metrics"]["right"]
    assert right["off"]["mean"]["n"] == right["alpha=0.3"]["difference"]["n"] == 10
    expected = comparison.difference("right", "alpha=0.3", task=TASKS[0])
    assert right["alpha=0.3"]["difference"]["difference"] == pytest.approx(expected.difference)
    assert right["alpha=0.3"]["verdict"] == "no difference shown"
    assert [part["value"] for part in one["by"]["position"]] == ["0", "0.25", "0.5", "0.75", "1"]
    assert one["by"].keys() == {"position"}


def test_what_is_shared_is_json_where_an_interval_is_not_known(comparison):
    single = Comparison(comparison.manifest, [record for record in comparison.records if record.example.endswith("-1")])
    json.loads(json.dumps(shareable(single), allow_nan=False))
