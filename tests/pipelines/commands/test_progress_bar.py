"""The progress bar: one bar, which names the step and the file, on a terminal and nowhere else."""

import io
import os
import re
import subprocess
import sys
import time

import pytest
from rich.cells import cell_len
from rich.console import Console
from sra_pipelines.commands import progress_bar as module
from sra_pipelines.commands.progress_bar import progress_bars, show_until

from sra_rag.heads.progress import head_bar

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal(width=100):
    return Console(file=io.StringIO(), force_terminal=True, width=width)


def shown(console):
    return CONTROL.sub("", console.file.getvalue())


def test_one_bar_names_the_step_and_the_file_and_counts_only_what_is_known():
    console = terminal()
    with progress_bars(console) as start:
        start("loading [a-model]")
        time.sleep(0.15)
        advance = start("reading")
        advance(1, 3, "contract.pdf")
        time.sleep(0.15)
    text = shown(console)
    assert "loading [a-model]" in text
    assert "reading contract.pdf" in text
    assert "1/3" in text
    assert "0/?" not in text
    assert "None" not in text


def test_a_step_does_not_keep_the_count_of_the_step_before():
    console = terminal()
    with progress_bars(console) as start:
        start("embedding")(3, 55)
        time.sleep(0.15)
        begun = console.file.tell()
        start("searching")
        time.sleep(0.3)
        text = CONTROL.sub("", console.file.getvalue()[begun:])
    after = text[text.index("searching") :]
    assert "/55" not in after
    assert "embedding" not in after


def test_the_remaining_time_is_shown_from_the_first_part_on(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    console = terminal()
    with progress_bars(console) as start:
        advance = start("asking")
        advance(0, 10)
        assert " left" not in shown(console)
        now[0] += 60
        advance(1, 10)
        time.sleep(0.7)  # columns are drawn twice a second
    assert "0:09:00 left" in shown(console)


def test_nothing_is_written_where_there_is_no_terminal():
    console = Console(file=io.StringIO(), force_terminal=False)
    with progress_bars(console) as start:
        start("reading")(1, 2, "a.pdf")
    assert console.file.getvalue() == ""


def test_the_bar_is_gone_when_the_first_piece_arrives():
    console = terminal()
    drawn = []

    def pieces():
        time.sleep(0.15)
        for piece in ("one", "two"):
            drawn.append(console.file.tell())
            yield piece
            drawn.append(console.file.tell())

    passed = []
    for piece in show_until(pieces(), "asking about 2 passages", console, until_end=False):
        passed.append((piece, console.file.tell()))
        time.sleep(0.15)
    assert [piece for piece, _ in passed] == ["one", "two"]
    assert "asking about 2 passages" in shown(console)
    assert passed[0][1] == passed[1][1] == console.file.tell()  # nothing is drawn after the first piece


def test_a_file_is_read_and_named_before_the_libraries_are_imported(make_pdf):
    """What takes seconds to import is imported after the first line; see also test_cli."""
    code = (
        "import sys\n"
        "from sra_pipelines.commands import answer_question as module\n"
        "read = module.read_document\n"
        "def noting(path):\n"
        "    print('imported', [m for m in ('torch', 'transformers', 'llama_index.core') if m in sys.modules])\n"
        "    return read(path)\n"
        "module.read_document = noting\n"
        "sys.argv = ['sra-rag', 'ask', 'Why?', sys.argv[1], '--model', '/no/such/model']\n"
        "from sra_rag.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(make_pdf("lease.pdf", "The rent is 5 pounds."))],
        capture_output=True, text=True, timeout=120, env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == "imported []\n"
    assert "could not be loaded" in done.stderr


def test_a_search_for_evidence_heads_takes_the_bar_that_is_there_and_gives_it_back():
    console = terminal()
    with progress_bars(console) as start:
        start("asking a model")
        time.sleep(0.15)
        with head_bar("tiny") as update:
            update(3, 40)
            time.sleep(0.15)
        time.sleep(0.15)
    frames = [line for line in re.split(r"[\r\n]+", shown(console)) if line.strip()]
    assert not any("asking" in frame and "evidence heads" in frame for frame in frames)
    kinds = ["heads" if "finding the evidence heads of tiny" in frame else "other" for frame in frames]
    assert "3/40" in shown(console)
    first, last = kinds.index("heads"), len(kinds) - 1 - kinds[::-1].index("heads")
    assert set(kinds[first : last + 1]) == {"heads"}
    assert any("asking a model" in frame for frame in frames[:first])
    assert any("asking a model" in frame for frame in frames[last + 1 :])


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_long_name_leaves_room_for_the_bar_and_the_times(width):
    console = terminal(width)
    with progress_bars(console) as start:
        advance = start("reading")
        for done in (1, 2):
            advance(done, 3, "Überlassungsvertrag zwischen 株式会社オリン港 und der Hafengesellschaft Orrin GmbH.pdf")
            time.sleep(0.15)
    frames = [line for line in re.split(r"[\r\n]+", shown(console)) if "2/3" in line]
    assert frames
    assert all("reading Ü" in frame and frame.rstrip().endswith("left") for frame in frames)
    assert all(cell_len(frame) <= width for frame in frames)
