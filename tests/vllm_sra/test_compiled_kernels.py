"""Triton compiles the kernels to GPU machine code, without a GPU. Other tests check the results of the kernels."""

import pytest

pytest.importorskip("triton", reason="needs Triton")
pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from vllm_sra.gpu import sharpening_kernel, weighing_kernel
from vllm_sra.gpu.sharpening_kernel import SPLITS

SHARED_MEMORY = 99 * 1024  # bytes per thread block; the limit of smaller GPUs of compute capability 8
AMPERE, HOPPER, MI300 = GPUTarget("cuda", 80, 32), GPUTarget("cuda", 90, 32), GPUTarget("hip", "gfx942", 64)
FLOATS = ("max_ptr", "sum_ptr", "moment_ptr", "lines_ptr", "alpha_ptr", "extra_ptr")
INTEGERS = ("block_table_ptr", "tiles_ptr", "spans_ptr", "first_span_ptr")


def compiled(kernel, target, dtype, constants):
    def kind(name):
        if name in constants:
            return "constexpr"
        if name in FLOATS:
            return "*fp32"
        if name in INTEGERS:
            return "*i32"
        if name == "weighs_ptr":
            return "*i8"
        return f"*{dtype}" if name.endswith("_ptr") else {"scale": "fp32"}.get(name, "i32")

    source = ASTSource(fn=kernel, signature={n: kind(n) for n in kernel.arg_names}, constexprs=constants)
    return triton.compile(source, target=target, options={"num_warps": 4, "num_stages": 2})


@pytest.mark.parametrize(
    ("target", "dtype", "head_size", "rows", "keys", "splits", "window"),
    [
        (AMPERE, "bf16", 256, 64, 64, 1, 0),
        (HOPPER, "fp16", 80, 16, 64, SPLITS, 4096),
        (MI300, "bf16", 128, 64, 64, 1, 0),
    ],
)
def test_the_kernels_compile(monkeypatch, tmp_path, target, dtype, head_size, rows, keys, splits, window):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    constants = {
        "GROUP": 4, "BLOCK_SIZE": 16, "HEAD_SIZE": head_size, "PADDED": triton.next_power_of_2(head_size),
        "ROWS": rows, "KEYS": keys, "WINDOW": window, "SPLITS": splits, "PRECISION": "tf32", "WIDEN": False,
    }  # fmt: skip
    sharpen_kernel = compiled(sharpening_kernel._sharpen_kernel, target, dtype, constants)
    assert {"cubin", "hsaco"} & set(sharpen_kernel.asm)
    assert sharpen_kernel.metadata.shared <= SHARED_MEMORY
    join_kernel = compiled(weighing_kernel._join_kernel, target, dtype, constants | {"SPLITS": max(2, splits)})
    assert join_kernel.metadata.shared <= SHARED_MEMORY
    merge_constants = {name: constants[name] for name in ("HEAD_SIZE", "PADDED", "WINDOW")} | {"HEADS": 32}
    for n in {0, splits} - {1}:
        assert compiled(sharpening_kernel._merge_kernel, target, dtype, merge_constants | {"SPLITS": n}).asm


def test_the_backends_can_be_imported_without_a_gpu():
    from vllm_sra.gpu.flash_attn import SRAFlashAttentionBackend
    from vllm_sra.gpu.triton_attn import SRATritonAttentionBackend

    assert [b.get_name() for b in (SRAFlashAttentionBackend, SRATritonAttentionBackend)] == [
        "FLASH_ATTN",
        "TRITON_ATTN",
    ]
