"""Kernels that are compiled on the machine: without a compiler the same results, and a warning."""

import os
import subprocess
import sys

import torch

from sra_rag import SRAConfig
from sra_rag.attention import compiling, one_pass
from sra_rag.attention.fast import fast_reattention
from sra_rag.attention.session import Session
from sra_rag.attention.visibility import Visibility

ROWS = 300


def attended(q, k, v):
    visibility = Visibility(Session(SRAConfig(alpha=0.6), 1, 6), ROWS, ROWS)
    with torch.inference_mode():
        return fast_reattention(q, k, v, visibility=visibility, layer=0, scale=0.25)


def test_without_a_compiler_pytorch_operators_give_the_same_output(monkeypatch, tmp_path, caplog):
    q, k, v = (torch.randn(1, heads, ROWS, 16) for heads in (6, 2, 2))
    with_compiler = attended(q, k, v)
    monkeypatch.setattr(one_pass, "row_kernels", compiling.row_kernels.__wrapped__)
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    without = attended(q, k, v)
    assert "could not be compiled" in caplog.text
    assert "no-such-compiler" in caplog.text
    assert not torch.equal(with_compiler, without)  # another kernel computed it
    torch.testing.assert_close(with_compiler, without, atol=2e-5, rtol=2e-5)
    assert list((tmp_path / "kernels").glob("*.so")) == []


def test_a_source_that_does_not_compile_is_reported_with_the_compilers_own_words(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path))
    source = tmp_path / "broken.cpp"
    source.write_text("int f() { return undeclared_name; }\n")
    assert not compiling.compiled_library(source, "nothing")
    assert "undeclared_name" in caplog.text


def test_long_prompts_with_gradients_are_computed_by_operators_that_have_them():
    q, k, v = (torch.randn(1, heads, ROWS, 16) for heads in (6, 2, 2))
    q.requires_grad_()
    visibility = Visibility(Session(SRAConfig(alpha=0.6), 1, 6), ROWS, ROWS)
    with torch.enable_grad():
        fast_reattention(q, k, v, visibility=visibility, layer=0, scale=0.25).sum().backward()
    assert q.grad.abs().sum() > 0


def test_an_answer_does_not_wait_for_the_kernel_of_decoding(tmp_path):
    """A process of its own with an empty cache, whose compiler does not end; nothing is left when it has ended."""
    compiler = tmp_path / "slow-compiler"
    compiler.write_text("#!/bin/sh\nexec sleep 600\n")
    compiler.chmod(0o755)
    code = (
        "import time\n"
        "from sra_rag.attention.compiling import decoding_kernel\n"
        "assert decoding_kernel() is None\ntime.sleep(1)\nassert decoding_kernel() is None\nprint('answered')"
    )
    environment = os.environ | {"CXX": str(compiler), "SRA_RAG_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200)
    assert (done.stdout, done.stderr, done.returncode) == ("answered\n", "", 0)
    assert {path.suffix for path in (tmp_path / "cache" / "kernels").iterdir()} <= {".lock"}


def test_without_a_compiler_decoding_says_nothing(tmp_path):
    code = "from sra_rag.attention.compiling import decoding_kernel\nassert decoding_kernel(wait=True) is None"
    environment = os.environ | {"CXX": "no-such-compiler", "SRA_RAG_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
