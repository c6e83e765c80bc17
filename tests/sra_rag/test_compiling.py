"""Kernels that are compiled on the machine: without a compiler the same results, and a warning."""

import os
import subprocess
import sys

import pytest
import torch

from sra_rag import SRAConfig
from sra_rag.attention import compiling, one_pass
from sra_rag.attention import session as session_module
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


def run(tmp_path, *lines, compiler):
    """Run lines in a process with a cache and a compiler of its own; return what it printed."""
    code = "\n".join(("import time", "from sra_rag.attention import compiling", *lines))
    environment = os.environ | {"CXX": str(compiler), "SRA_RAG_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


@pytest.fixture
def slow_compiler(tmp_path):
    """A compiler that does not end, and leaves a file where it was begun."""
    compiler = tmp_path / "slow-compiler"
    compiler.write_text(f"#!/bin/sh\ntouch {tmp_path}/begun\nexec sleep 600\n")
    compiler.chmod(0o755)
    return compiler


def test_no_answer_waits_for_the_kernel_of_decoding_and_nothing_is_left(tmp_path, slow_compiler):
    uses = ["assert compiling.decoding_kernel() is None", "time.sleep(1)"] * 2
    assert run(tmp_path, "compiling._LASTS = 0", *uses, "print('answered')", compiler=slow_compiler) == "answered\n"
    assert (tmp_path / "begun").exists()
    assert {path.suffix for path in (tmp_path / "cache" / "kernels").iterdir()} <= {".lock"}


def test_a_process_that_waits_for_another_ones_compiler_ends_at_once(tmp_path, slow_compiler):
    hold = (
        "from filelock import FileLock",
        "capability = compiling.torch.backends.cpu.get_cpu_capability()",
        "path = compiling._library_path(compiling._decoding_build()._source, capability)",
        "path.parent.mkdir(parents=True)",
        "lock = FileLock(path.with_suffix('.lock')); lock.acquire()",
        "compiling._LASTS = 0",
        "assert compiling.decoding_kernel() is None",
        "time.sleep(1)",
        "compiling._decoding_build().stop()",
        "print(compiling._decoding_build().is_alive())",
    )
    assert run(tmp_path, *hold, compiler=slow_compiler) == "False\n"
    assert not (tmp_path / "begun").exists()


def test_a_process_that_decodes_only_for_a_moment_compiles_nothing(tmp_path, slow_compiler):
    uses = ["assert compiling.decoding_kernel() is None"] * 3
    assert run(tmp_path, *uses, "time.sleep(1)", "print('answered')", compiler=slow_compiler) == "answered\n"
    assert not (tmp_path / "begun").exists()


def test_an_answer_is_decoded_by_one_kernel_to_its_end(monkeypatch):
    kernels = iter([None, "kernel", "kernel", "kernel"])
    monkeypatch.setattr(session_module, "decoding_kernel", lambda: next(kernels))
    first, second = (Session(SRAConfig(alpha=0.6), 1, 6) for _ in range(2))
    assert [first.row_kernel() for _ in range(3)] == [None] * 3
    assert second.row_kernel() == "kernel"


def test_without_a_compiler_decoding_says_nothing(tmp_path):
    assert run(tmp_path, "assert compiling.decoding_kernel(wait=True) is None", compiler="no-such-compiler") == ""
