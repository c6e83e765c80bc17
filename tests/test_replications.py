"""The scripts of claims run, and each states its claim, its source and our number."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "replications"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.name != "claims.py")
ROWS = [
    (f"How high is tower {n}?", f"{n}7 metres", f"Tower {n}", f"Tower {n} is {n}7 metres high.") for n in range(11, 23)
]


def run(path, *arguments, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    return ended.value.code


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_help_states_claim_source_command_and_number(path, monkeypatch, capsys):
    assert run(path, "--help", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert re.search(r"^Claim: ", text, re.MULTILINE)
    assert re.search(r"^Source: .*arXiv \d{4}\.\d{5}", text, re.MULTILINE | re.DOTALL)
    assert f"python replications/{path.name} " in text
    assert re.search(r"^Our number.*(measured|\d)", text, re.MULTILINE | re.DOTALL)


def test_the_folder_has_the_claims():
    assert len(SCRIPTS) == 5


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs_its_settings_on_one_question(path, tmp_path, monkeypatch, capsys):
    data = tmp_path / "rows.jsonl"
    rows = [{"question": q, "answers": [a], "title": title, "text": text} for q, a, title, text in ROWS]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    to = tmp_path / "results"
    few = ["--limit", "1", "--max-new-tokens", "2", "--to", str(to)]
    assert run(path, str(data), *few, monkeypatch=monkeypatch) == 0, capsys.readouterr().err
    command = capsys.readouterr().out.splitlines()[0]
    settings = re.findall(r"--sra (\S+)", command)
    records = [json.loads(line) for line in (to / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(records) == len(settings) > 1
    assert len({record["setting"] for record in records}) == len(settings)
