"""Fuzzed documents, models, GGUF files, profiles and presets: each is read or refused, and nothing of it is run."""

import json
import random
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sra_pipelines.presets import load_preset, preset_names, preset_path
from sra_pipelines.readers import FORMATS
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import LoneReader, SplitDocument
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.values import DocumentError

from sra_rag import SRAConfig, load_model
from sra_rag.errors import SRAError
from sra_rag.models.embedded import embedded_model_folder
from sra_rag.profiles import profile_names, profile_path
from tests.attacks.mutation import corpus, mutated
from tests.pipelines.server.test_server_uploads import damaged
from tests.sra_rag.tiny_gguf import write_qwen2
from tests.sra_rag.tiny_models import tiny_model

pytestmark = pytest.mark.attack

SUFFIXES = sorted(FORMATS)


class Fuzzed:
    """Reads files as the server reads uploads, and counts what became of them.

    Parameters
    ----------
    folder
        Folder in which each file is written, and in which those that ended the reading process are kept.
    seconds
        Time limit of a file. That of the server, 60 seconds, also ends harmless files while other programs keep a
        machine busy.
    """

    def __init__(self, folder, seconds):
        # The other limits are those of the server, whose uploads also go through a `LoneReader`.
        self.limits = ReadingLimits(max_seconds=seconds)
        self.folder, self.kept = folder, folder / "ended the process"
        self.kept.mkdir()
        self.reader = LoneReader(limits=self.limits)
        self.outcomes = {"read": 0, "refused": 0, "ended the reading process": 0}
        self.seconds = {suffix: [] for suffix in SUFFIXES}

    def read(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        start = time.monotonic()
        result = self.reader.read_and_split(path, "fuzzed", Splitting(), self.limits)
        seconds = time.monotonic() - start
        assert seconds < self.limits.max_seconds + 30
        assert isinstance(result, SplitDocument | DocumentError)
        outcome = "read" if isinstance(result, SplitDocument) else "refused"
        if isinstance(result, SplitDocument):
            self.require_storable(result)
        if isinstance(result, DocumentError) and "crashed" in str(result):
            outcome = "ended the reading process"
            path.rename(self.kept / f"{self.outcomes[outcome]}-{seconds:.0f}s-{name}")
        suffix = Path(name).suffix.lower()
        if seconds > max(self.seconds[suffix], default=0):
            (self.kept / f"slowest{suffix}").write_bytes(content)
        path.unlink(missing_ok=True)
        self.outcomes[outcome] += 1
        self.seconds[suffix].append(seconds)

    def require_storable(self, result):
        """An index stores the pages as UTF-8, and the passages as spans of them."""
        texts = {page.index: page.text for page in result.document.pages}
        for page in result.document.pages:
            "".join([page.text, page.label, *page.notices, *(heading.text for heading in page.headings)]).encode()
        for passage in result.passages:
            assert passage.text == texts[passage.page_index][passage.start : passage.end]
            passage.section.encode()

    def report(self):
        self.reader.close()
        left = [path.name for path in self.folder.iterdir() if path != self.kept]
        assert not left, f"the readers left files: {left}"
        lines = [
            f"{suffix}: {len(seconds)} files, {sum(seconds):.0f} s, slowest {max(seconds):.1f} s"
            for suffix, seconds in self.seconds.items()
            if seconds
        ]
        return "\n".join([str(self.outcomes), *lines])


def test_mutated_files(tmp_path, attack_count):
    times, rng = attack_count("files", 10_000), random.Random(attack_count("seed", 17))
    files = corpus()
    formats = [FORMATS[Path(name).suffix] for name, _ in files]
    assert {known.name for known in formats} == {known.name for known in FORMATS.values()}
    # Recognizing text takes seconds a picture: fewer of these.
    weights = [0.03 if "scan" in name else 1 for name, _ in files]
    fuzzed, others = Fuzzed(tmp_path, attack_count("seconds", 60.0)), [content for _, content in files]
    for start in range(0, times, 500):
        chosen = rng.choices(files, weights, k=min(500, times - start))
        # Sorted, so that few processes load each reader.
        for number, (name, content) in enumerate(sorted(chosen, key=lambda file: Path(file[0]).suffix), start):
            suffix = Path(name).suffix if rng.random() < 0.95 else rng.choice(SUFFIXES)
            fuzzed.read(f"{number}{suffix}", mutated(content, rng, others))
        print(f"\n{fuzzed.outcomes}", flush=True)  # noqa: T201
    print(f"\n{times} mutated files: {fuzzed.report()}")  # noqa: T201


def test_generated_files(tmp_path, attack_count):
    times, fuzzed = attack_count("generated", 2_000), Fuzzed(tmp_path, attack_count("seconds", 60.0))
    starts = st.sampled_from(
        [b"", b"%PDF-1.7\n", b"PK\x03\x04", b"<html>", b"\xff\xfe", b"\xef\xbb\xbf", b"a,b\n", b"# ", b"From: a\n\n",
         b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x89PNG\r\n\x1a\n", b"II*\0"]
    )  # fmt: skip
    tags = st.sampled_from(["table", "tr", "td", "td rowspan=3", "ol", "li", "p", "h1", "div", "pre", "b", "math"])
    markup = st.recursive(
        st.text(max_size=20),
        lambda inner: st.tuples(tags, st.lists(inner, max_size=4)).map(
            lambda made: f"<{made[0]}>{''.join(made[1])}</{made[0].split()[0]}>"
        ),
        max_leaves=60,
    )
    contents = st.binary(max_size=3000) | markup.map(lambda text: text.encode(errors="surrogatepass"))

    @settings(max_examples=times, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(starts, contents, st.sampled_from(SUFFIXES))
    def generated(start, content, suffix):
        fuzzed.read(f"a{suffix}", start + content)

    generated()
    print(f"\n{times} generated files: {fuzzed.report()}")  # noqa: T201


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
