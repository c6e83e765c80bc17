"""Results on disk: what a kill leaves, what may be added, what is refused."""

import dataclasses
import json

import pytest
from sra_evaluations.examples import Example
from sra_evaluations.results.record import Record
from sra_evaluations.results.records import Records, read_examples, read_run, write_examples

from sra_rag.errors import ConfigError
from sra_rag.generation.result import Timing, Usage

MANIFEST = {"format": 1, "model": {"weights_sha256": "a"}, "seed": 0, "settings": {"off": None}, "tasks": {"t": 1}}


def record(example="1", setting="off", task="t"):
    return Record(task, example, setting)


def test_results_go_on_where_they_were(tmp_path):
    first = Records(tmp_path / "run", MANIFEST)
    first.add(record("1"))
    first.add(record("2"))
    again = Records(tmp_path / "run", MANIFEST)
    assert ("t", "1", "off") in again
    assert ("t", "3", "off") not in again
    assert again.records == first.records


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_line_that_was_cut_short_is_dropped(tmp_path, cut):
    records = Records(tmp_path, MANIFEST)
    records.add(record("1"))
    records.add(record("2"))
    path = tmp_path / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Records(tmp_path, MANIFEST)
    assert [r.example for r in again.records] == ["1"]
    again.add(record("2"))
    assert [r.example for r in read_run(tmp_path)[1]] == ["1", "2"]


def test_settings_and_tasks_may_be_added_but_nothing_else_changed(tmp_path):
    Records(tmp_path, MANIFEST).add(record())
    more = Records(tmp_path, {**MANIFEST, "settings": {"more": {"alpha": 0.2}}, "tasks": {"t": 2, "u": 1}})
    assert more.manifest["settings"] == {"off": None, "more": {"alpha": 0.2}}
    assert more.manifest["tasks"] == {"t": 2, "u": 1}
    assert Records(tmp_path, {**MANIFEST, "scorers": []}).records  # of a run from before there was such a field
    for changed in ({"seed": 1}, {"model": {"weights_sha256": "b"}}, {"settings": {"off": {"alpha": 0.1}}}):
        with pytest.raises(ConfigError, match="another folder"):
            Records(tmp_path, {**MANIFEST, **changed})
    assert json.loads((tmp_path / "manifest.json").read_text())["settings"].keys() == {"off", "more"}


def test_settings_come_in_while_a_run_goes_on(tmp_path):
    records = Records(tmp_path, MANIFEST)
    records.add_settings({"off": None, "more": {"alpha": 0.2}})
    assert records.manifest["settings"] == {"off": None, "more": {"alpha": 0.2}}
    assert read_run(tmp_path)[0] == records.manifest
    with pytest.raises(ConfigError, match="setting more"):
        records.add_settings({"more": {"alpha": 0.3}})
    assert records.manifest["settings"]["more"] == {"alpha": 0.2}


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "records.jsonl").write_text('{"mine": 1}\n')
    with pytest.raises(ConfigError, match=r"no manifest\.json"):
        Records(tmp_path, MANIFEST)
    with pytest.raises(ConfigError, match="has no results"):
        read_run(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        Records(tmp_path, MANIFEST)


def test_a_line_that_is_no_json_is_named(tmp_path):
    Records(tmp_path, MANIFEST).add(record())
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(ConfigError, match="line 2"):
        Records(tmp_path, MANIFEST)


def test_examples_are_kept_once(tmp_path):
    one, other = (Example(str(n), "i", "c\u2028c", "q", ("a",)) for n in range(2))
    write_examples(tmp_path, "t", [one])
    write_examples(tmp_path, "t", [one, other])
    found = read_examples(tmp_path)
    assert [content["id"] for content in found.values()] == ["0", "1"]
    assert all(content["context"] == "c\u2028c" for content in found.values())


WRITTEN_EARLIER = (  # a line as releases before `Record` wrote it
    '{"task": "t", "example": "1@ab", "setting": "off", "features": {"position": 0.5}, "timed": true, '
    '"scores": {"right": 1.0}, "answer": "Blue.", "finish_reason": "stop", '
    '"usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 0}, '
    '"seconds": {"prefill_seconds": 0.5, "decode_seconds": 0.25}, "peak_bytes": null, "answered_at_once": 1, '
    '"gold_tokens": 3, "likelihood_seconds": 0.1, "entropy": [[1.0, 2.0], [3.0, 4.0]], "keys": 9}\n'
)


def test_a_run_of_an_earlier_release_is_read_and_goes_on(tmp_path):
    Records(tmp_path, MANIFEST)
    (tmp_path / "records.jsonl").write_text(WRITTEN_EARLIER)
    records = Records(tmp_path, MANIFEST)
    assert ("t", "1@ab", "off") in records
    [found] = records.records
    assert found == Record(
        "t", "1@ab", "off", {"right": 1.0}, {"position": 0.5}, True, "Blue.", "stop", Usage(9, 2), Timing(0.5, 0.25),
        None, 1, 3, 0.1, ((1.0, 2.0), (3.0, 4.0)), 9,
    )  # fmt: skip
    records.add(dataclasses.replace(found, example="2@cd"))
    first, second = (json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines())
    assert second == {name: value for name, value in first.items() if value is not None} | {"example": "2@cd"}
    assert [record.example for record in read_run(tmp_path)[1]] == ["1@ab", "2@cd"]


@pytest.mark.parametrize("line", [{"task": "t"}, {"task": "t", "example": "1", "setting": "off", "mine": 1}])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    Records(tmp_path, MANIFEST).add(record())
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(ConfigError, match=r"line 2: This is not a record.*Allowed fields are task, example"):
        Records(tmp_path, MANIFEST)


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().answer = "another"
