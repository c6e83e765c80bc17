"""The command line as a user runs it: its output and its exit code, in this process except where a process matters."""

import json
import re
import signal
import subprocess
import sys

import pytest
from sra_pipelines.commands import conversation
from sra_pipelines.commands.answer_commands import chosen_settings
from sra_pipelines.commands.conversation_commands import served_settings
from sra_pipelines.commands.engine_choice import HERE
from sra_pipelines.presets import load_preset
from sra_pipelines.server import ServerSettings
from typer.testing import CliRunner

import sra_rag.models.loading as loading
from sra_rag import SRAConfig, load_model
from sra_rag.cli import main, make_app
from sra_rag.errors import ConfigError
from sra_rag.notation import parse_indices

LEASE = "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March."
QUESTION = "How many crowns a year does the lease cost?"
COMMAND = [sys.executable, "-m", "sra_rag.cli"]


def run_process(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture
def run(capsys, monkeypatch, embedded):
    """Run the command line in this process, with the embedded model that the other tests have loaded."""

    def load(name, dtype):
        return embedded if name == "embedded" else load_model(name, dtype=dtype)

    def run(*arguments):
        monkeypatch.setattr(loading, "load_model", load)
        monkeypatch.setattr(sys, "argv", ["sra-rag", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, *capsys.readouterr())

    return run


HARBOUR = [
    "This report describes the harbour of Orrin and its buildings in the year 2023.",
    LEASE,
    "The ferry carried 31,200 passengers, of whom 4,100 had a bicycle with them.",
    "The pilot boat was repaired in April. The work took nine days and was done by the yard at Selby.",
    "Visitors may stay at the north pier for two nights. The harbour master keeps the keys of the showers.",
]


@pytest.mark.parametrize(
    ("dtype", "pages"), [("float32", HARBOUR), ("bfloat16", HARBOUR), ("float32", ["Preamble.", LEASE])]
)
def test_plain_text_into_a_pipe(make_pdf, dtype, pages):
    done = run_process(
        "ask", QUESTION, make_pdf("lease.pdf", *pages), "--max-new-tokens", 30, "--dtype", dtype
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "82,400" in done.stdout
    assert "sources: lease, page 2" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "without reattention" not in done.stdout.lower()


@pytest.mark.slow
def test_compare_as_json(run, make_pdf):
    done = run(
        "ask", QUESTION, make_pdf("lease.pdf", LEASE), "--compare", "--json", "--rows", "after_context",
        "--layers", "last:10", "--alpha", 0.3, "--show-context", "--max-new-tokens", 30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    off, on = result["answers"]
    assert off["generation"]["sra"] is None
    assert on["generation"]["sra"] == {
        "alpha": 0.3, "bounds": "theoretical", "layers": "last:10", "heads": "all", "rows": "after_context",
        "policy": "entropy", "evidence": None,
    }  # fmt: skip
    assert off["generation"]["usage"]["prompt_tokens"] == on["generation"]["usage"]["prompt_tokens"]
    assert LEASE.split(",")[0] in result["context"].replace("\n", " ")
    assert result["documents"][0]["pages"] == 1
    assert result["problems"] == []


def test_presets_are_listed_and_printed_as_a_start(tmp_path):
    def shown(*arguments):
        done = CliRunner().invoke(make_app(), ["presets", *arguments], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    assert [line.split()[0] for line in shown().splitlines()] == ["general", "financial", "legal"]
    own = tmp_path / "own.toml"
    own.write_text(shown("legal"), encoding="utf-8")
    assert load_preset(own) == load_preset("legal")
    with pytest.raises(ConfigError, match="general, financial, legal"):
        shown("medical")


@pytest.mark.slow
def test_computed_figures_and_attention_are_shown_with_each_setting(run, make_pdf):
    rows = "Income statement\n\u00a3 million 2025 2024\nRevenue 518.2 472.9\nCost of sales 301.4 280.0"
    done = run(
        "ask", "By how much did revenue change from 2024 to 2025?", make_pdf("report.pdf", rows), "--preset",
        "financial", "--compare", "--attention", "--rows", "after_context", "--max-new-tokens", 24,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("computed: 518.2 - 472.9 = 45.3 (\u00a3 million)") == 2
    assert len(re.findall(r"^ +\d+\.\d%  report, page 1$", done.stdout, re.MULTILINE)) == 2


def test_unreadable_documents_cost_one_line_each_and_the_others_answer(run, tmp_path, make_pdf):
    good = make_pdf("lease.pdf", LEASE)
    bad = [make_pdf("scan.pdf", None), make_pdf("locked.pdf", "x", password="x"), tmp_path / "missing.pdf"]
    (tmp_path / "empty.pdf").touch()
    (tmp_path / "torn.pdf").write_bytes(b"%PDF-1.4 torn")
    bad += [tmp_path / "empty.pdf", tmp_path / "torn.pdf"]
    done = run("ask", QUESTION, good, *bad, "--compare", "--max-new-tokens", 30)
    assert done.returncode == 2
    assert "82,400" in done.stdout
    assert "Without reattention" in done.stdout
    assert "With reattention" in done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("sra-rag:")]
    assert len(lines) == 5
    for path, line in zip(bad, lines, strict=True):
        assert str(path) in line


def test_nothing_to_answer_from(run):
    done = run("ask", "Why?", "/no/such/file.pdf")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "/no/such/file.pdf: there is no such file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--alpha", "-1"], "alpha"),
        (["--rows", "some"], "after_context"),
        (["--layers", "x"], "last:N"),
        (["--model", "/no/such/model"], "could not be loaded"),
        (["--sra", "/no/such.json"], "nor the path of a file"),
        (["--context-tokens", "9000"], "is too large"),
    ],
)
def test_bad_arguments_end_with_one_line(run, make_pdf, arguments, says):
    done = run("ask", "Why?", make_pdf("a.pdf", LEASE), *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("sra-rag:")]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["  ", "{}"], "The question is empty"),
        (["{}"], "Give the question first"),
        (["{}", "When does it end?"], "Give the question first"),
        (["Why?"], "No documents are given"),
        (["Why?", "{}", "--index", "x"], "but not both"),
        (["Why?", "{}", "--context-tokens", "0"], "--context-tokens"),
        (["Why?", "{}", "--max-new-tokens", "0"], "--max-new-tokens"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said_before_anything_is_read(run, make_pdf, monkeypatch, arguments, says):
    monkeypatch.setattr(
        "sra_pipelines.commands.answer_question.read_document", lambda path: pytest.fail(f"{path} was read")
    )
    path = str(make_pdf("a.pdf", LEASE))
    done = run("ask", *(argument.format(path) for argument in arguments))
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_help_teaches(run):
    assert "ask" in run("--help").stdout
    text = " ".join(run("ask", "--help").stdout.split())
    for option in ("--compare", "--alpha", "--rows", "--layers", "--model", "--json", "--show-context"):
        assert option in text
    assert "sra-rag ask" in text


@pytest.mark.slow
def test_ctrl_c_stops_cleanly():
    process = subprocess.Popen(
        [*COMMAND, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else a shell may have it ignored
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("expected"):  # an answer is being generated now
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().endswith("interrupted.")
    assert "Traceback" not in errors


def test_layers():
    assert parse_indices("--layers", "all") == "all"
    assert parse_indices("--layers", "last:3") == "last:3"
    assert parse_indices("--layers", "0,3,10-12") == (0, 3, 10, 11, 12)
    with pytest.raises(ConfigError, match="last:N"):
        parse_indices("--layers", "a-b")


def test_settings_are_written_in_one_option_or_in_four(tmp_path):
    profile = tmp_path / "profile.json"
    SRAConfig(alpha=0.4).to_json(profile)
    assert chosen_settings(None, 0.2, "all", "last:3", "focus") == SRAConfig(alpha=0.2, layers="last:3", policy="focus")
    assert chosen_settings("alpha=0.3,rows=generated", 0.2, "all", "all", "entropy") == SRAConfig(0.3, rows="generated")
    assert chosen_settings(str(profile), 0.2, "all", "all", "entropy") == SRAConfig(alpha=0.4)
    assert chosen_settings("off", 0.2, "all", "all", "entropy") is None


def test_a_server_has_the_default_settings_of_the_other_commands_but_only_with_a_model_here():
    assert served_settings(None, HERE) == chosen_settings(None, None, None, None, None) == SRAConfig.coerce("evidence")
    assert served_settings(None, "http://localhost:8000/v1") is None  # a server may refuse settings
    assert served_settings("off", HERE) is None
    assert served_settings("0.3", "http://localhost:8000/v1") == SRAConfig(alpha=0.3)


def test_heads_are_found_before_a_server_answers_if_its_settings_need_them(tiny_engine, monkeypatch):
    searched = []
    monkeypatch.setattr(conversation, "evidence_heads", searched.append)
    for sra in (None, 0.3, {"evidence": {"weight": 4, "look": [(0, 0)]}}):
        conversation.find_heads(tiny_engine, ServerSettings(sra=SRAConfig.coerce(sra)))
    assert searched == []
    conversation.find_heads(tiny_engine, ServerSettings(sra=SRAConfig.coerce("evidence")))
    assert searched == [tiny_engine.loaded]


def test_files_that_are_not_read_are_named(run, tmp_path):
    """Case: ask left out unknown formats and linked folders without a word."""
    folder, other = tmp_path / "docs", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "a.txt").write_text(LEASE)
    (folder / "drawing.dwg").write_text("lines")
    (folder / "film.mp4").write_text("film")
    (folder / "link").symlink_to(other)
    done = run("ask", QUESTION, folder, "--max-new-tokens", 1)
    assert done.returncode == 0
    assert str(folder / "drawing.dwg") in done.stderr
    assert str(folder / "film.mp4") in done.stderr
    assert f"skipped: {folder / 'link'} is a link to a folder. To read it, give {other} too." in done.stderr


def test_a_question_without_quotes_is_refused_with_the_quotes_where_they_belong(run, make_pdf):
    lease = make_pdf("lease.pdf", LEASE)
    done = run("ask", "When", "does", "it", "end?", lease)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.endswith(f'sra-rag ask "When does it end?" {lease}\n')
    assert run("ask", "Who", "signed?").stderr.endswith('sra-rag ask "Who signed?" DOCUMENT\n')
