"""Files that other programs read: workflows, the citation, containers. They parse, and what they name exists."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from sra_rag.cli import make_app

ROOT = Path(__file__).parents[1]
FILES = [
    *sorted((ROOT / ".github").rglob("*.yml")),
    ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff", ROOT / "compose.yaml", ROOT / "mkdocs.yml",
]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_make_targets_of_workflows_exist():
    used = set()
    for path in FILES:
        used |= set(re.findall(r"run: make ([a-z-]+)", path.read_text(encoding="utf-8")))
    assert {"test", "docs"} <= used
    assert used <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_containers_use_commands_and_options_that_exist():
    commands = [["serve", "--host", "--port"]]
    for service in yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values():
        if "command" in service:
            commands.append([word for word in service["command"] if not word.startswith(("/", "qdrant"))])
    for command in commands:
        words = [word for word in command if not word.startswith("--")]
        shown = CliRunner().invoke(make_app(), [*words, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0, command
        assert all(word in shown.output for word in command if word.startswith("--")), command
    dockerfile = (ROOT / "Dockerfile").read_text()
    extras = re.search(r"/app\[([a-z,]+)\]", dockerfile)[1].split(",")
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)


def test_the_pages_of_the_site_are_all_in_its_menu():
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert not [str(page) for page in pages if f" {page}" not in menu]
