"""Any permutation of keys is detected as a layout; layouts from which keys cannot be read back are rejected."""

import pytest
import torch
from vllm_sra.cpu.key_layout import find_layout

from sra_rag.errors import UnsupportedModelError

SIZE, HEAD = 32, 64


def in_rows(keys):
    return keys.clone()


def transposed(keys):
    return keys.t().contiguous().view(SIZE, HEAD)


def paired(keys):
    """Store pairs of numbers of a key next to each other, as required by the bfloat16 matrix units of CPUs."""
    return keys.view(SIZE, HEAD // 2, 2).permute(1, 0, 2).contiguous().view(SIZE, HEAD)


def blocks(write, keys, dtype):
    """Write ``(heads, n, HEAD)`` keys to scattered blocks."""
    heads, n, _ = keys.shape
    needed = -(-n // SIZE)
    padded = torch.zeros(heads, needed * SIZE, HEAD, dtype=dtype)
    padded[:, :n] = keys
    order = torch.randperm(needed + 2)[:needed]
    cache = torch.zeros(needed + 2, heads, SIZE, HEAD, dtype=dtype)
    for index, block in enumerate(order):
        for head in range(heads):
            cache[block, head] = write(padded[head, index * SIZE : (index + 1) * SIZE])
    return cache, order


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("write", [in_rows, transposed, paired])
def test_keys_are_read_back_exactly(write, dtype, columns):
    layout = find_layout(write, SIZE, HEAD, dtype)
    for n_keys in (5, 2 * SIZE + 5):
        keys = torch.randn(2, n_keys, HEAD).to(dtype)
        cache, order = blocks(write, keys, dtype)
        read = layout.read(cache, order, n_keys, columns=columns)
        assert torch.equal(read[0], keys)
        assert columns or read.stride(-1) == 1


def test_common_layouts_need_no_index_table():
    assert find_layout(transposed, SIZE, HEAD, torch.float32).transposed
    assert find_layout(transposed, SIZE, HEAD, torch.float32).order is None
    assert find_layout(in_rows, SIZE, HEAD, torch.float32).order is None
    assert find_layout(paired, SIZE, HEAD, torch.bfloat16).order is not None


@pytest.mark.parametrize(
    "write",
    [lambda keys: keys * 0.5, lambda keys: torch.zeros_like(keys), lambda keys: keys.roll(1, 0) * (keys > 0)],
    ids=["scaled", "nothing", "lossy"],
)
def test_a_layout_that_cannot_be_read_back_is_rejected(write):
    with pytest.raises(UnsupportedModelError, match="read back"):
        find_layout(write, SIZE, HEAD, torch.float32)
