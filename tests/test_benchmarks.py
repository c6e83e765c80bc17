"""The benchmarks explain themselves, and those that a change of the library breaks first run on a few rows."""

import gzip
import json
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if 'if __name__ == "__main__":' in path.read_text("utf-8"))


def run(name, *arguments, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(FOLDER / name), run_name="__main__")


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in SCRIPTS])
def test_the_help_of_a_benchmark_shows_a_command(name, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(name, "--help", monkeypatch=monkeypatch)
    assert ended.value.code == 0
    assert f"benchmarks/{name}" in capsys.readouterr().out


@pytest.mark.slow
def test_abstention_is_measured_with_and_without_the_right_passage(tmp_path, monkeypatch, capsys):
    rows = [
        {"question": f"how high is tower {n}", "answers": [f"{n}7 metres"], "title": f"Tower {n}",
         "text": f"Tower {n} of the old town is {n}7 metres high."}
        for n in range(11, 23)
    ]  # fmt: skip
    data, results = tmp_path / "rows.jsonl.gz", tmp_path / "results.jsonl"
    data.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    command = ["passages", "--data", str(data), "--rows", "0:2", "--tokens", "12", "--to", str(results)]
    run("abstention.py", *command, monkeypatch=monkeypatch)
    records = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert sorted(record["answerable"] for record in records) == [False, False, True, True]
    assert all(record["answer"] for record in records)
    assert "| wrong, they do not | 2 |" in capsys.readouterr().out


@pytest.mark.slow
def test_an_index_of_many_passages_is_built_once_and_not_changed_by_its_measurement(tmp_path, monkeypatch, capsys):
    texts, to = tmp_path / "texts", tmp_path / "indexes"
    texts.mkdir()
    (texts / "leases.txt").write_text("\n\n".join(f"The rent of shop {n} is {n * 90} crowns." for n in range(200)))
    command = ["200", "--texts", str(texts), "--to", str(to)]
    contents = []
    for _ in range(2):
        run("index_sizes.py", *command, monkeypatch=monkeypatch)
        contents.append({path.name: path.read_bytes() for path in (to / "sra-rag" / "200").iterdir()})
        row = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].split("|")[1:-1]]
        assert row[:2] == ["200", "sra-rag"]
        assert row[-1] == "1.00, 1.00"
        assert (row[2] == "") == (len(contents) == 2)
    assert contents[0] == contents[1]
