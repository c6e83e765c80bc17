"""``sra-rag evaluate`` as a user calls it: a run, its report, its errors, and how it goes on after it was ended."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
import sra_evaluations.runs.commands as commands
import sra_evaluations.runs.run_task as running
from typer.testing import CliRunner

import sra_rag.models.loading as loading
from sra_rag.cli import make_app

QUESTIONS = [
    {"id": f"house {n}", "question": f"What is the rent of house {n}?", "answer": f"{n}1,{n}00",
     "context": " ".join(f"The rent of house {i} is {i}1,{i}00 crowns." for i in range(1, 6)),
     "features": {"house": n}}
    for n in range(1, 5)
]  # fmt: skip
SETTINGS = ["--sra", "off", "--sra", "alpha=0.3,rows=after_context"]
COMMAND = [sys.executable, "-m", "sra_rag.cli", "evaluate"]


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "rents.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    return path


@pytest.fixture
def run(monkeypatch, tiny):
    """Run the command in this process, on the model that the other tests have loaded."""
    monkeypatch.setattr(loading, "load_model", lambda name, dtype: tiny)

    def run(*arguments):
        return CliRunner().invoke(make_app(), ["evaluate", *map(str, arguments)])

    return run


def records_of(folder):
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def answers_of(folder):
    return {(record["example"], record["setting"]): record["answer"] for record in records_of(folder)}


def test_a_run_writes_its_results_and_goes_on_with_a_greater_limit(run, questions, tmp_path, monkeypatch):
    to = tmp_path / "results"
    result = run(questions, *SETTINGS, "--limit", 2, "--max-new-tokens", 8, "--to", to)
    assert result.exit_code == 0, result.output
    assert {path.name for path in to.iterdir()} >= {
        "manifest.json", "records.jsonl", "examples.jsonl", "summary.md", "report.html",
    }  # fmt: skip
    assert result.stdout == (to / "summary.md").read_text()
    assert str(to / "report.html") in result.stderr
    first = records_of(to)
    assert [record["setting"] for record in first] == SETTINGS[1::2] * 2
    assert [record["example"] for record in first[::2]] == [record["example"] for record in first[1::2]]
    measure, measured = running._likelihood, []
    monkeypatch.setattr(running, "_likelihood", lambda *args: measured.append(args[1].id) or measure(*args))
    result = run(questions, *SETTINGS, "--limit", 3, "--max-new-tokens", 8, "--to", to)
    assert result.exit_code == 0, result.output
    assert len(measured) == 2
    assert records_of(to)[:4] == first
    assert len(records_of(to)) == 6

    before = (to / "records.jsonl").read_bytes()
    (to / "report.html").unlink()
    (to / "summary.md").unlink()
    result = run("--report-only", "--to", to)
    assert result.exit_code == 0, result.output
    assert (to / "report.html").stat().st_size > 10_000
    assert result.stdout == (to / "summary.md").read_text()
    assert "alpha=0.3,rows=after_context" in result.stdout
    assert (to / "records.jsonl").read_bytes() == before
    assert len(measured) == 2

    result = run("--report-only", "--to", to, "--share", tmp_path / "shared.json")
    assert result.exit_code == 0, result.output
    shared = json.loads((tmp_path / "shared.json").read_text())
    assert shared["tasks"][0]["metrics"]["right"]["off"]["mean"]["n"] == 3
    for text in ("house", "rent", "crowns", str(questions), str(tmp_path)):
        assert text not in (tmp_path / "shared.json").read_text()

    result = run("--read", 4, "--to", to)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("by hand:") == 4
    assert "What is the rent of house" in result.stdout
    assert (to / "records.jsonl").read_bytes() == before
    assert len(measured) == 2

    other = run(questions, *SETTINGS, "--seed", 1, "--max-new-tokens", 8, "--to", to)
    assert "seed differ" in str(other.exception)
    assert (to / "records.jsonl").read_bytes() == before


def test_without_generating_only_likelihoods_are_measured(run, questions, tmp_path):
    result = run(questions, *SETTINGS, "--limit", 1, "--no-generate", "--to", tmp_path / "results")
    assert result.exit_code == 0, result.output
    for record in records_of(tmp_path / "results"):
        assert "answer" not in record
        assert record["scores"]["gold_nats"] > 0
        assert "right" not in record["scores"]


def test_a_run_that_is_stopped_before_its_first_answer_says_so(run, questions, tmp_path, monkeypatch, tiny):
    def interrupted(name, dtype):
        signal.raise_signal(signal.SIGINT)
        return tiny

    monkeypatch.setattr(loading, "load_model", interrupted)
    result = run(questions, "--to", tmp_path / "results")
    assert result.exit_code == 130, result.exception
    assert "The same command continues from here." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["haystack"], "There is no task 'haystack'. Use one of needle, "),
        ([], "There is no task to run. Name one or more of needle, "),
        (["needle:depth=2"], "depth=2.0 is not allowed: it must be between 0 and 1"),
        (["needle:size=2"], "'size=2' is no option of needle; it has length, depth, kind"),
        (["needle", "--sra", "alpha=-1"], "alpha"),
        (["needle", "--sra", "much"], "Give off, evidence, an alpha such as 0.2"),
        (["needle", "--sra", "0.2", "--sra", "0.2"], "two settings have this name"),
        (["needle", "--no-generate", "--judge", "embedded"], "--judge need answers"),
        (["needle", "--ray", "--engine", "http://127.0.0.1:9/v1"], "and --ray cannot be combined"),
        (["needle", "--ray", "--batch-size", "2"], "--batch-size has no effect on Ray workers"),
        (["needle", "--workers", "2"], "--workers is the number of Ray workers"),
        (["needle", "--report-only", "--to", "nothing"], "nothing has no results"),
    ],
)
def test_what_cannot_be_run_ends_with_one_helpful_line(arguments, says, tmp_path, monkeypatch, capsys):
    from sra_rag.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["sra-rag", "evaluate", *arguments])
    monkeypatch.setattr(loading, "load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("sra-rag: ")
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [["--limit", "0"], ["--max-new-tokens", "many"], ["--colour"]])
def test_unknown_options_end_with_usage(option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(make_app(), ["evaluate", "needle", *option])
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert "Usage" in result.stderr


def test_help_teaches_at_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    shown = CliRunner().invoke(make_app(), ["evaluate", "--help"]).output
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\u2026" not in shown
    examples = [line.strip() for line in lines if line.strip().startswith("sra-rag evaluate ")]
    assert len(examples) == 6
    for name in commands.task_options():
        assert name in shown
    assert set(re.findall(r"--[a-z-]+", " ".join(examples))) <= set(re.findall(r"│ *(--[a-z-]+)", shown))


def start(*arguments):
    """Start a real process in which Ctrl-C is as in a terminal."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else a shell may have it ignored
    )  # fmt: skip


def wait_for_records(process, folder, count):
    """Wait until so many answers are on disk."""
    until = time.monotonic() + 200
    path = folder / "records.jsonl"
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What the command below gives when it is left alone."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = [*SETTINGS, "--max-new-tokens", 12, "--limit", 3]
    done = subprocess.run(
        [*COMMAND, "key-value:pairs=6", *map(str, arguments), "--to", str(folder / "results")],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return arguments, answers_of(folder / "results")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_ends_behind_the_present_answer_and_the_same_command_goes_on(uninterrupted, tmp_path):
    arguments, whole = uninterrupted
    to = tmp_path / "results"
    process = start("key-value:pairs=6", *arguments, "--to", to)
    wait_for_records(process, to, 1)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "The same command continues from here." in errors
    assert "Traceback" not in errors
    assert out == (to / "summary.md").read_text()
    kept = records_of(to)
    assert 1 <= len(kept) < 6
    process = start("key-value:pairs=6", *arguments, "--to", to)
    _, errors = process.communicate(timeout=250)
    assert process.returncode == 0, errors
    assert records_of(to)[: len(kept)] == kept
    assert answers_of(to) == whole


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_leaves_results_that_the_same_command_goes_on_from(uninterrupted, tmp_path):
    arguments, whole = uninterrupted
    to = tmp_path / "results"
    for count in (1, 3):
        process = start("key-value:pairs=6", *arguments, "--to", to)
        wait_for_records(process, to, count)
        process.kill()
        process.communicate()
    kept = records_of(to)
    assert 3 <= len(kept) < 6
    with (to / "records.jsonl").open("a") as file:
        file.write('{"task": "key-value:pairs=6", "exam')  # as a kill in the midst of writing leaves it
    process = start("key-value:pairs=6", *arguments, "--to", to)
    _, errors = process.communicate(timeout=250)
    assert process.returncode == 0, errors
    assert records_of(to)[: len(kept)] == kept
    assert answers_of(to) == whole
    assert (to / "report.html").exists()


def test_the_default_of_the_other_commands_is_measured():
    assert commands.default_settings("here") == ["off", "evidence"]
    assert commands.default_settings("http://gpu-box:8000/v1") == ["off", "0.2"]  # not every server supports evidence
