"""Files that other programs read: workflows, the citation, containers. They parse, and what they name exists.

The requirements of the core, and the sizes of the extras.
"""

import ast
import importlib.metadata
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from typer.testing import CliRunner

from sra_rag.cli import make_app
from tools.install_sizes import closure, megabytes
from tools.install_sizes import main as install_sizes_main

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


# Core requirements that sra_rag does not import itself, and what needs them.
NEEDED_BY_TRANSFORMERS = {
    "accelerate": "device_map, and GGUF files",
    "sentencepiece": "tokenizers in SentencePiece's own format",
    "protobuf": "tokenizers in SentencePiece's own format",
}
# Imported by sra_rag only if an extra is used; the error for a missing one names the extra.
OPTIONAL = {"xgrammar": "structured", "matplotlib": "plot"}


def imported_packages(folder):
    """Return the top-level modules that files of a folder import, also in functions, except the standard library."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"sra_rag"}


def test_the_core_requires_what_it_imports_and_nothing_else():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {Requirement(line).name for line in project["dependencies"]}
    imported = {name.replace("_", "-") for name in imported_packages(ROOT / "sra_rag")}
    assert imported - set(OPTIONAL) == required - set(NEEDED_BY_TRANSFORMERS)
    assert set(NEEDED_BY_TRANSFORMERS) <= required
    for name, extra in OPTIONAL.items():
        assert name in {Requirement(line).name for line in project["optional-dependencies"][extra]}


def test_the_packages_of_an_extra_are_followed_through_the_metadata():
    core, missing = closure("core")
    assert missing == set()
    assert {"sra-rag", "torch", "tokenizers", "typing-extensions"} <= core  # the last two only through others
    assert not {"llama-index-core", "langchain-core", "fastapi", "pytest"} & core
    serve, _ = closure("serve")
    assert core < closure("pipelines")[0] < serve  # an extra that includes another
    assert {"fastapi", "starlette"} <= serve
    with pytest.raises(KeyError):
        closure("no-such-extra")


def test_the_size_of_a_package_is_that_of_its_files():
    folder = Path(importlib.util.find_spec("platformdirs").origin).parent
    description = folder.parent / f"platformdirs-{importlib.metadata.version('platformdirs')}.dist-info"
    paths = [path for part in (folder, description) for path in part.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in paths if path.suffix != ".pyc")
    assert 1e6 * megabytes(["platformdirs"]) == pytest.approx(
        size, rel=0.01
    )  # a marker of pip's may be without a record


def test_an_extra_that_does_not_exist_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["install_sizes", "--install", "serv"])
    with pytest.raises(SystemExit):
        install_sizes_main()
    assert "there is no extra 'serv'; give core, llama-index" in capsys.readouterr().err
