"""Fuzzed documents, models, GGUF files, profiles and presets: each is read or refused, and nothing of it is run."""

import json
import random
import time

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sra_pipelines.presets import load_preset, preset_names, preset_path
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import LoneReader, SplitDocument
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.values import DocumentError

from sra_rag import SRAConfig, load_model
from sra_rag.errors import SRAError
from sra_rag.models.embedded import embedded_model_folder
from sra_rag.profiles import profile_names, profile_path
from tests.pipelines.server.test_server_uploads import damaged, samples
from tests.sra_rag.tiny_gguf import write_qwen2
from tests.sra_rag.tiny_models import tiny_model

pytestmark = pytest.mark.attack

LIMITS = ReadingLimits(max_seconds=20)  # those of the real server, and less patience


def read(reader, path, counts):
    start = time.monotonic()
    result = reader.read_and_split(path, "fuzzed", Splitting(), LIMITS)
    assert time.monotonic() - start < LIMITS.max_seconds + 30
    assert isinstance(result, SplitDocument | DocumentError)
    kind = "read" if isinstance(result, SplitDocument) else "refused"
    if isinstance(result, DocumentError) and "crashed" in str(result):
        kind = "ended the reading process"
    counts[kind] = counts.get(kind, 0) + 1


def test_mutated_files(tmp_path, make_pdf, attack_count):
    times, rng = attack_count("files", 10_000), random.Random(17)
    corpus, counts = list(samples(make_pdf).items()), {}
    reader = LoneReader(limits=LIMITS)
    for _ in range(times):
        name, content = rng.choice(corpus)
        for _ in range(rng.choice((1, 1, 3))):
            content = damaged(content, rng) if len(content) > 2 else content
        path = tmp_path / (
            name if rng.random() < 0.9 else f"a{rng.choice(['.pdf', '.docx', '.xlsx', '.html', '.csv'])}"
        )
        path.write_bytes(content)
        read(reader, path, counts)
    reader.close()
    print(f"\n{times} mutated files: {counts}")  # noqa: T201


def test_generated_files(tmp_path, attack_count):
    times, counts = attack_count("generated", 2_000), {}
    reader = LoneReader(limits=LIMITS)
    starts = st.sampled_from(
        [b"", b"%PDF-1.7\n", b"PK\x03\x04", b"<html>", b"\xff\xfe", b"\xef\xbb\xbf", b"a,b\n", b"# "]
    )

    @settings(max_examples=times, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(starts, st.binary(max_size=3000), st.sampled_from(["pdf", "docx", "xlsx", "html", "md", "txt", "csv"]))
    def generated(start, content, suffix):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(start + content)
        read(reader, path, counts)

    generated()
    reader.close()
    print(f"\n{times} generated files: {counts}")  # noqa: T201


def test_mutated_gguf_files(tmp_path, monkeypatch, attack_count):
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path / "cache"))
    times, rng, counts = attack_count("gguf", 200), random.Random(19), {"loaded": 0, "refused": 0}
    write_qwen2(tmp_path / "whole.gguf")
    content = (tmp_path / "whole.gguf").read_bytes()
    for number in range(times):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(damaged(content, rng))
        try:
            load_model(path, dtype="float32")
            counts["loaded"] += 1
        except SRAError:
            counts["refused"] += 1
        path.unlink()
    print(f"\n{times} mutated GGUF files: {counts}")  # noqa: T201


class Trap:
    """A pickle that leaves a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_hostile_model_folders(tmp_path, attack_count):
    times, rng, counts = attack_count("folders", 200), random.Random(23), {"loaded": 0, "refused": 0}
    whole = tmp_path / "whole"
    tiny_model("llama", "eager").save_pretrained(whole)
    trap = tmp_path / "trap"
    code = f"open({str(trap)!r}, 'w')\n"
    for number in range(times):
        folder = tmp_path / f"model{number}"
        folder.mkdir()
        for path in whole.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "modeling_evil.py").write_text(code)
        (folder / "tokenization_evil.py").write_text(code)
        config = json.loads((folder / "config.json").read_text())
        config["auto_map"] = {"AutoConfig": "modeling_evil.A", "AutoModelForCausalLM": "modeling_evil.B"}
        match number % 4:
            case 0:
                config["model_type"] = "evil"
            case 1:
                (folder / "model.safetensors").unlink()
                torch.save({"a": Trap(str(trap))}, folder / "pytorch_model.bin")
            case 2:
                config[rng.choice(list(config))] = rng.choice([None, -1, "x", [], {}, 2**40])
            case _:
                data = (folder / "model.safetensors").read_bytes()
                (folder / "model.safetensors").write_bytes(damaged(data, rng))
        (folder / "config.json").write_text(json.dumps(config))
        try:
            load_model(folder, tokenizer=embedded_model_folder())
            counts["loaded"] += 1
        except SRAError:
            counts["refused"] += 1
        assert not trap.exists(), f"folder {number} ran its code"
    print(f"\n{times} hostile model folders: {counts}")  # noqa: T201


def test_mutated_profiles_and_presets(tmp_path, attack_count):
    times, rng, counts = attack_count("profiles", 2_000), random.Random(29), {"loaded": 0, "refused": 0}
    profiles = [profile_path(name).read_bytes() for name in profile_names()]
    presets = [preset_path(name).read_bytes() for name in preset_names()]
    for number in range(times):
        is_profile = number % 2 == 0
        path = tmp_path / ("a.json" if is_profile else "a.toml")
        path.write_bytes(damaged(rng.choice(profiles if is_profile else presets), rng))
        try:
            SRAConfig.from_json(path) if is_profile else load_preset(path)
            counts["loaded"] += 1
        except SRAError:
            counts["refused"] += 1
    print(f"\n{times} mutated profiles and presets: {counts}")  # noqa: T201
