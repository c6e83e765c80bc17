"""The command line as a whole: it knows its commands without importing them, and imports the chosen one."""

import gc
import importlib.metadata
import os
import re
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import sra_rag
from sra_rag.cli import load_command, make_app
from sra_rag.importing import importing_libraries, without_collection
from tests.terminals import Terminal

ENTRIES = {entry.name: entry for entry in importlib.metadata.entry_points(group="sra_rag.commands")}

# A child process in which a package cannot be found, as where its extra is not installed.
WITHOUT = """
import importlib.util as u, sys
found = u.find_spec
u.find_spec = lambda name, *a: None if name == {missing!r} else found(name, *a)
sys.argv = ["sra-rag", *{arguments!r}]
from sra_rag.cli import main
main()
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"COLUMNS": "300"}
    )


def words(text):
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


def test_the_version_is_that_of_the_package():
    done = CliRunner().invoke(make_app(), ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"sra-rag {sra_rag.__version__}\n")


def test_the_list_of_commands_imports_none_of_them_and_no_model():
    modules = {entry.module for entry in ENTRIES.values()} | {"torch", "transformers"}
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('imported', sorted({modules!r} & set(sys.modules))))\n"
        "sys.argv = ['sra-rag', '--help']\n"
        "from sra_rag.cli import main\n"
        "main()\n"
    )
    done = run(code)
    assert done.stdout.endswith("imported []\n"), done.stdout + done.stderr
    for name in ENTRIES:
        assert f" {name} " in done.stdout


@pytest.mark.parametrize("name", ENTRIES)
def test_the_short_help_in_the_list_is_the_first_sentence_of_the_commands_own(name):
    group = get_command(make_app())
    listed = group.get_command(None, name)
    loaded = load_command(ENTRIES[name])
    assert listed.name == loaded.name == name
    assert listed.short_help == " ".join(loaded.help.split("\n\n")[0].split())


@pytest.mark.parametrize("command", [[], ["ask"], ["index"], ["index", "add"], ["models", "get"]])
def test_help_is_also_asked_for_with_one_letter(command):
    short, long = (CliRunner().invoke(make_app(), [*command, option]) for option in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output
    assert "Usage:" in short.output


def test_a_misspelt_command_is_refused_with_the_right_name():
    done = CliRunner().invoke(make_app(), ["evalute"])
    assert done.exit_code == 2
    assert "Did you mean 'evaluate'?" in words(done.output)


def test_a_command_whose_extra_is_missing_is_listed_with_the_line_that_installs_it():
    done = run(WITHOUT.format(missing="faiss", arguments=["--help"]))
    assert done.returncode == 0, done.stderr
    asked, line = "ask Not installed. sra_pipelines needs the package 'faiss'", "pip install 'sra-rag[pipelines]'"
    assert asked in words(done.stdout)
    assert line in words(done.stdout)


@pytest.mark.parametrize("arguments", [["ask", "why?", "a.pdf"], ["index", "list", "folder"], ["ask", "--help"]])
def test_a_command_whose_extra_is_missing_ends_with_the_line_that_installs_it(arguments):
    done = run(WITHOUT.format(missing="faiss", arguments=arguments))
    assert done.returncode == 2
    assert done.stderr.startswith("sra-rag: sra_pipelines needs the package 'faiss'")
    assert "pip install 'sra-rag[pipelines]'" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("name", ENTRIES)
def test_help_shows_no_python_types(name):
    command = load_command(ENTRIES[name])
    for one in [command, *getattr(command, "commands", {}).values()]:
        shown = CliRunner().invoke(make_app(), [name, *([one.name] if one is not command else []), "--help"]).output
        assert "--help" in shown
        assert not re.search(r"<(bool|int|float|str|path|list)\b|list\[|range>", shown), shown


# A process as the installed script runs it, in which something would be printed if Python freed all objects at its end.
PROGRAM = """
import atexit, sys, tempfile
import sra_rag.cli

class Freed:
    def __del__(self):
        sys.__stdout__.write("freed\\n")

def handler():
    atexit.register(lambda: print("handler"))
    sra_rag.cli.folder = tempfile.TemporaryDirectory()
    print("folder", sra_rag.cli.folder.name)

kept = Freed()
{change}
sys.argv = ["sra-rag", *{arguments!r}]
sra_rag.cli.run()
"""


@pytest.mark.parametrize(
    ("change", "arguments", "code", "shown"),
    [
        ("", ["--version"], 0, f"sra-rag {sra_rag.__version__}"),
        ("", ["no-such-command"], 2, "No such command"),
        ("sra_rag.cli.main = lambda: sys.exit('a message')", [], 1, "a message"),
        ("sra_rag.cli.main = lambda: 1 / 0", [], 1, "ZeroDivisionError"),
        ("def main(): raise KeyboardInterrupt\nsra_rag.cli.main = main", [], 130, "KeyboardInterrupt"),
        ("sra_rag.cli.main = handler", [], 0, "handler"),
    ],
)
def test_a_program_ends_at_once_with_its_exit_code_after_the_handlers_of_libraries(change, arguments, code, shown):
    done = run(PROGRAM.format(change=change, arguments=arguments))
    assert done.returncode == code
    assert shown in done.stdout + done.stderr
    assert "freed" not in done.stdout
    for folder in re.findall(r"folder (.+)", done.stdout):
        assert not os.path.exists(folder)


def test_the_collector_is_paused_while_libraries_are_imported_and_stays_off_where_it_was_off():
    assert gc.isenabled()
    states = []

    def fail():
        with importing_libraries():
            states.append(gc.isenabled())
            raise ImportError("missing")

    with pytest.raises(ImportError):
        fail()
    assert states == [False]
    assert gc.isenabled()
    gc.disable()
    try:
        with without_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("arguments", [["chat", "x.index"], ["serve", "x.index"], ["mcp", "x.index"], ["heads"]])
def test_a_command_says_within_a_second_that_it_imports_libraries(arguments, tmp_path):
    command = ["-m", "sra_rag", *arguments, "--model", "no-such-model"]
    with Terminal(*command, cwd=tmp_path, env={"HF_HUB_OFFLINE": "1"}) as terminal:
        assert terminal.read_until("importing libraries", seconds=20).strip().endswith("importing libraries")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["presets", "models", "--version", "--help"])
def test_an_output_that_cannot_be_written_costs_one_line_and_no_traceback(arguments, unbuffered):
    command = f"{sys.executable} -m sra_rag {arguments} > /dev/full"
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr == "sra-rag: The output or a temporary file cannot be written: No space left on device.\n"


def test_closed_streams_are_replaced_before_a_file_gets_their_numbers():
    code = (
        "import os, sys, sra_rag.cli\n"
        "sra_rag.cli.main = lambda: os.write(9, str(os.open('/', os.O_RDONLY)).encode())\n"
        "sra_rag.cli.run()"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", f'{sys.executable} -c "{code}" 9>&1 >&- 2>&- <&-'], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert int(done.stdout) > 2
    closed = subprocess.run(["/bin/sh", "-c", f"{sys.executable} -m sra_rag presets >&-"], capture_output=True)
    assert (closed.returncode, closed.stderr) == (0, b"")
