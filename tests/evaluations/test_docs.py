"""docs/evaluation.md says what is there, and its code runs."""

import re
from pathlib import Path

import pytest
from sra_evaluations.metrics import LOWER_IS_BETTER
from sra_evaluations.tasks import load_task, task_options

TEXT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def section(title):
    return re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def code(title, language):
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL))


def names_in_table(title):
    rows = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [(re.findall(r"`([^`]+)`", row.split("|")[1]), re.findall(r"`([^`]+)`", row.split("|")[-2])) for row in rows]


def test_the_table_of_tasks_names_each_with_all_its_options():
    assert {name: options for [name], options in names_in_table("Tasks")} == task_options()


def test_the_file_of_ones_own_questions_is_read(tmp_path):
    path = tmp_path / "my-questions.jsonl"
    path.write_text(code("Your own questions", "json"))
    rent, signed, age = load_task(str(path)).examples(10, 0, len)
    assert rent.answers == ("82,400 crowns",)
    assert (signed.answers, signed.all_of, signed.context) == (("Ada", "Bo"), True, "Ada signed.\n\nSo did Bo.")
    assert (age.id, age.answers, age.features) == ("age", (), {"kind": "person"})


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (Path(__file__).parents[2] / "docs" / target).exists(), target


@pytest.mark.slow
def test_the_code_runs_and_the_tables_name_its_metrics(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my-questions.jsonl").write_text(code("Your own questions", "json"))
    names = {}
    exec(compile(code("In Python", "python") + code("Add a task", "python"), "evaluation.md", "exec"), names)  # noqa: S102 - ours
    assert re.search(r"[+-]\d\.\d{3} \(.*\), 3 examples", capsys.readouterr().out)
    (tmp_path / "pytest").mkdir()
    names["test_the_setting_does_not_hurt"](tmp_path / "pytest")
    assert len(names["sums"].values("sums", "off", "right")) == 2
    documented = {name for row, _ in names_in_table("Metrics") for name in row}
    measured = {metric for task in names["comparison"].tasks for metric in names["comparison"].metrics(task)}
    assert {"right", "right_refusal", "wrong_refusal", "figures", "gold_attention"} <= measured
    assert measured <= documented
    assert documented >= LOWER_IS_BETTER
    assert {path.name for path in Path("results").iterdir()} <= {
        name for row, _ in names_in_table("The folder of results") for name in row
    }
