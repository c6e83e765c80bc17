"""The mask that is described against the mask that transformers would draw."""

import pytest
import torch
from transformers import masking_utils as masks

from sra_rag import SRAConfig
from sra_rag.attention.interface import sra_mask
from sra_rag.attention.session import Session, activate
from sra_rag.attention.visibility import Visibility

PATTERNS = {
    "causal": ({}, {"mask_function": masks.causal_mask_function}),
    "window": ({"window": 6}, {"mask_function": masks.sliding_window_causal_mask_function(6), "local_size": 6}),
    "chunks": (
        {"rule": True},
        {"mask_function": masks.chunked_causal_mask_function(6, torch.zeros(2, dtype=torch.long)), "local_size": 6},
    ),
    "joined": (
        {"rule": True},
        {
            "mask_function": masks.and_masks(
                masks.sliding_window_causal_mask_function(6), lambda b, h, q, k: (q + k) % 2 == 0
            ),
            "local_size": 6,
            "allow_is_causal_skip": False,
        },
    ),
    "both ways": ({"rule": True}, {"mask_function": masks.bidirectional_mask_function}),
}


def describe(**kwargs):
    with activate(Session(SRAConfig(), 1, 1)):
        return sra_mask(**kwargs)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize(("rows", "keys", "position", "first_key"), [(14, 14, 0, 0), (5, 14, 9, 0), (3, 8, 25, 20)])
@pytest.mark.parametrize("padded", [False, True])
def test_the_description_draws_the_same_mask(name, rows, keys, position, first_key, padded):
    expected_kind, arguments = PATTERNS[name]
    arguments = arguments | {
        "batch_size": 2, "q_length": rows, "kv_length": keys, "q_offset": position, "kv_offset": first_key,
    }  # fmt: skip
    if padded:
        arguments["attention_mask"] = torch.ones(2, position + rows, dtype=torch.bool)
        arguments["attention_mask"][1, : first_key + 3] = False
    visibility = describe(**arguments)
    assert isinstance(visibility, Visibility)
    assert (visibility.window, visibility.rule is not None) == (
        expected_kind.get("window"), expected_kind.get("rule", False),
    )  # fmt: skip
    dense = masks.sdpa_mask(**(arguments | {"allow_is_causal_skip": False}))
    for start, stop in ((0, rows), (1, rows)):
        bias = visibility.bias(start, stop, torch.device("cpu"))
        seen = torch.zeros(2, 1, stop - start, keys, dtype=torch.bool)
        seen[..., visibility.first_key(start) : visibility.last_key(stop)] = bias > float("-inf")
        assert torch.equal(seen, dense[:, :, start:stop])
    if visibility.rule is None:
        count = visibility.count(0, torch.device("cpu")).expand(2, 1, rows)
        assert torch.equal(count, dense.sum(-1).float())


def test_off_draws_what_sdpa_does():
    arguments = {"batch_size": 2, "q_length": 6, "kv_length": 6}
    assert sra_mask(**arguments) is None
    padding = torch.ones(2, 6, dtype=torch.bool)
    padding[1, :2] = False
    assert torch.equal(
        sra_mask(**arguments, attention_mask=padding), masks.sdpa_mask(**arguments, attention_mask=padding)
    )
