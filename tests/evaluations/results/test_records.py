"""Results on disk: what a kill leaves, what may be added, what is refused."""

import json

import pytest
from sra_evaluations.examples import Example
from sra_evaluations.results.records import Records, read_examples, read_run, write_examples

from sra_rag.errors import ConfigError

MANIFEST = {"format": 1, "model": {"weights_sha256": "a"}, "seed": 0, "settings": {"off": None}, "tasks": {"t": 1}}


def record(example="1", setting="off", task="t"):
    return {"task": task, "example": example, "setting": setting, "scores": {}}


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
    assert [r["example"] for r in again.records] == ["1"]
    again.add(record("2"))
    assert [r["example"] for r in read_run(tmp_path)[1]] == ["1", "2"]


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
    with pytest.raises(ConfigError, match="holds no results"):
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
