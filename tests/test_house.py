"""What holds for the house as a whole: one direction of imports, quiet imports, a README whose commands exist."""

import ast
import graphlib
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import sra_rag

ROOT = Path(__file__).parents[1]

# Each floor, and the import roots it may use of those above the core.
FLOORS = {
    "sra_rag": set(),
    "integrations": {"sra_rag", "llama_index", "langchain_sra", "vllm_sra"},
    "pipelines": {"sra_rag", "llama_index", "langchain_sra", "vllm_sra", "sra_pipelines"},
    "evaluations": {"sra_rag", "llama_index", "langchain_sra", "vllm_sra", "sra_pipelines", "sra_evaluations"},
}
OURS = {"sra_rag", "llama_index", "langchain", "langchain_core", "langchain_sra", "vllm_sra", "sra_pipelines",
        "sra_evaluations"}  # fmt: skip
OPTIONS_OF_PYTEST = {"--strict-markers", "--import-mode"}
SOURCES = [(floor, path) for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]


def imported_roots(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize(("floor", "path"), SOURCES, ids=lambda value: getattr(value, "name", value))
def test_imports_go_one_way(floor, path):
    allowed = FLOORS[floor] | {"sra_rag"}
    used = set(imported_roots(ast.parse(path.read_text(encoding="utf-8")))) & OURS
    above = used - allowed - ({"langchain_core", "langchain"} if floor != "sra_rag" else set())
    assert not above, f"{path.relative_to(ROOT)} imports {', '.join(sorted(above))} from a floor above it"


def test_the_direction_test_can_fail():
    tree = ast.parse("def f():\n    from sra_pipelines.index.memory import DocumentIndex")
    assert set(imported_roots(tree)) & OURS - FLOORS["sra_rag"] == {"sra_pipelines"}


@pytest.mark.parametrize("path", [p for _, p in SOURCES if p.name == "__init__.py"], ids=lambda p: p.parent.name)
def test_public_packages_say_what_is_public(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    imports = [n for n in tree.body if isinstance(n, ast.ImportFrom)]
    assert "__all__" in names or not imports
    assert ast.get_docstring(tree)


def module_name(path, root=ROOT):
    """Name a file as it is imported; `root` holds the floors."""
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts if parts[0] == "sra_rag" else parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def on_import(body):
    """Yield the imports that run with the module, those for type checkers included; not those within functions."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for field in ("body", "orelse", "finalbody", "handlers"):
                yield from on_import(getattr(node, field, []))


def modules_used(name, path, known):
    """Return those of the known modules that a file imports when it is imported itself."""
    used = set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in on_import(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
            continue
        base = node.module or ""
        if node.level:
            base = ".".join([*package.split(".")[: package.count(".") + 2 - node.level], *filter(None, [base])])
        names = {f"{base}.{alias.name}" for alias in node.names}
        used |= names & known
        if names - known:
            used.add(base)
    return used & known - {name}


def circle_in(graph):
    """Return a circle of a graph, or None."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def import_graph(paths, root=ROOT):
    modules = {module_name(path, root): path for path in paths}
    return {name: modules_used(name, path, set(modules)) for name, path in modules.items()}


def test_no_files_import_each_other_in_a_circle():
    circle = circle_in(import_graph([path for _, path in SOURCES]))
    assert circle is None, " <- ".join(circle)


@pytest.mark.parametrize(
    "back",
    [
        "from sra_pipelines.index import one",
        "from .one import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sra_pipelines.index.one import name",
        "try:\n    import sra_pipelines.index.one\nexcept ImportError:\n    pass",
    ],
)
def test_the_circle_test_can_fail(tmp_path, back):
    one, two = tmp_path / "pipelines/sra_pipelines/index/one.py", tmp_path / "pipelines/sra_pipelines/index/two.py"
    one.parent.mkdir(parents=True)
    one.write_text("from sra_pipelines.index.two import other\n")
    two.write_text(back + "\n")
    assert circle_in(import_graph([one, two], tmp_path))
    two.write_text("def late():\n    from sra_pipelines.index.one import name\n")
    assert circle_in(import_graph([one, two], tmp_path)) is None


def test_no_folder_holds_more_than_twenty_modules():
    counts = Counter(path.parent.relative_to(ROOT) for _, path in SOURCES)
    assert len(counts) > 20
    assert not {str(folder): n for folder, n in counts.items() if n > 20}


# Names that several files have because they have the same role.
SAME_ROLE = {"__init__", "__main__", "commands", "call", "structured"}


def test_no_two_modules_have_one_name():
    counts = Counter(path.stem for _, path in SOURCES)
    assert not {name for name, n in counts.items() if n > 1} - SAME_ROLE


PUBLIC = {
    "sra_rag": [
        "Engine", "Generation", "LoadedModel", "SRAConfig", "SRAError", "SamplingOptions", "load_model", "reattend",
    ],
    "sra_pipelines": [
        "Answer", "Document", "DocumentError", "DocumentIndex", "DocumentQA", "Page", "Passage", "PassageIndex",
        "StoredIndex", "add_documents", "open_index", "read_document", "remove_documents",
    ],
    "sra_evaluations": ["Comparison", "Example", "compare", "load_task", "task_names"],
    "langchain_sra": ["ChatSRAHuggingFace", "SRADocumentCompressor", "SRAHuggingFaceLLM"],
    "llama_index.llms.sra": ["SRAHuggingFaceLLM"],
    "llama_index.postprocessor.sra": ["SRARerank"],
    "vllm_sra": ["DEFAULT_VARIABLE", "RequestSettings", "read_settings", "register"],
}  # fmt: skip


@pytest.mark.parametrize("package", PUBLIC)
def test_what_users_import_stays_where_it_is(package):
    module = importlib.import_module(package)
    assert sorted(module.__all__) == PUBLIC[package]
    assert all(getattr(module, name) is not None for name in PUBLIC[package])


def test_namespace_packages_stay_shared():
    for folder in (
        "integrations/llama_index",
        "integrations/llama_index/llms",
        "integrations/llama_index/postprocessor",
    ):
        assert not (ROOT / folder / "__init__.py").exists()


HEAVY = {"torch", "transformers", "numpy", "llama_index.core", "langchain_core", "faiss", "sentence_transformers",
         "bitsandbytes", "gguf"}  # fmt: skip


@pytest.mark.parametrize(
    "modules",
    [
        *PUBLIC,
        "sra_rag.cli",
        "sra_rag.config, sra_rag.notation, sra_rag.profiles",
        "sra_rag.generation.sampling",
        "sra_rag.heads, sra_rag.heads.commands",
        "sra_rag.models.commands",
        "sra_rag.models.fetch_bar",
        "sra_pipelines.readers",
        "sra_pipelines.reading.processes",
        "sra_pipelines.index.catalog",
        "sra_pipelines.commands.answer_commands",
        "sra_pipelines.commands.conversation_commands",
        "sra_pipelines.commands.index_commands",
        "sra_pipelines.commands.mcp_command",
        "sra_evaluations.calibration.commands",
        "sra_evaluations.harness.commands",
        "sra_evaluations.runs.commands",
    ],
)
def test_importing_is_quiet_and_light(modules):
    code = f"import sys, {modules}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("quiet", "registering"),
    [
        ("import sra_rag", "import sra_rag.attention"),
        ("from sra_rag import SRAConfig", "from sra_rag import load_model"),
    ],
)
def test_importing_the_attention_registers_one_name_and_changes_no_other(quiet, registering):
    code = (
        "from transformers import AttentionInterface as A, AttentionMaskInterface as M\n"
        "before = dict(A()), dict(M())\n"
        f"{quiet}\n"
        "assert (dict(A()), dict(M())) == before\n"
        f"{registering}\n"
        "after = dict(A()), dict(M())\n"
        "assert [set(a) - set(b) for a, b in zip(after, before)] == [{'sra'}, {'sra'}]\n"
        "assert all(a[k] is b[k] for a, b in zip(after, before) for k in b)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


LAZY = [path.parent for _, path in SOURCES if path.name == "__init__.py" and "lazy_names(" in path.read_text("utf-8")]


def package_name(folder):
    floor = next(ROOT / floor for floor in FLOORS if folder.is_relative_to(ROOT / floor))
    return ".".join(folder.relative_to(ROOT if floor.name == "sra_rag" else floor).parts)


@pytest.mark.parametrize("folder", LAZY, ids=package_name)
def test_lazy_names_are_those_that_type_checkers_see(folder):
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    (branch,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {node.module: [alias.name for alias in node.names] for node in branch.body}
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func.id == "lazy_names")
    assert ast.literal_eval(call.args[1]) == seen

    package = importlib.import_module(package_name(folder))
    names = {name for names in seen.values() for name in names}
    assert names <= set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    # Importing a submodule would put it in the place of the name.
    assert not names & {path.stem for path in folder.iterdir()}
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        package.no_such_name  # noqa: B018


def test_a_lazy_name_is_looked_up_once():
    assert "load_model" in dir(sra_rag)
    loaded = sra_rag.load_model
    assert vars(sra_rag)["load_model"] is loaded


@pytest.mark.parametrize(
    ("part", "missing", "extra"),
    [
        ("llama_index.llms.sra", "llama_index.core", "llama-index"),
        ("llama_index.postprocessor.sra", "llama_index.core", "llama-index"),
        ("langchain_sra", "langchain_core", "langchain"),
        ("sra_pipelines", "faiss", "pipelines"),
    ],
)
def test_a_part_without_its_extra_names_the_command(part, missing, extra):
    code = (
        "import importlib.util as u\n"
        f"found = u.find_spec\nu.find_spec = lambda name, *a: None if name == {missing!r} else found(name, *a)\n"
        f"try:\n    import {part}\n"
        f"except ImportError as e:\n    assert \"pip install 'sra-rag[{extra}]'\" in str(e), e\n"
        "else:\n    raise SystemExit('imported all the same')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_extras_that_are_promised_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = {"llama-index", "langchain", "pipelines", "evaluations", "serve", "quantization", "vllm", "all", "dev"}
    assert promised <= set(project["optional-dependencies"])


def test_the_version_is_written_in_one_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    source = (ROOT / project["tool"]["hatch"]["version"]["path"]).read_text()
    assert re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE) == [importlib.metadata.version("sra-rag")]


def test_the_plugins_that_pytests_options_need_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    options = project["tool"]["pytest"]["ini_options"]
    needed = {"--benchmark-disable": "pytest-benchmark"}
    unknown = [o for o in options["addopts"] if o.startswith("--") and o.split("=")[0] not in OPTIONS_OF_PYTEST]
    names = {re.split(r"[>=<]", line)[0] for line in project["project"]["optional-dependencies"]["dev"]}
    assert {needed[option] for option in unknown} <= names


def test_the_readmes_make_targets_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    used = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", readme))
    assert {"demo", "test", "check", "bench"} <= used
    assert used <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def test_the_documents_are_found_from_any_working_directory():
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/evaluation.md", "docs/vllm.md"} <= names


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_the_documents_hold(path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert path.parent.joinpath(target).exists(), f"{path.name} links to {target}"
