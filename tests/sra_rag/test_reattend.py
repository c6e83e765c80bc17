"""The context manager: on inside, exactly as before outside, and each thread has its own."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sra_rag import SRAConfig, reattend
from sra_rag.attention.session import Session
from sra_rag.errors import ConfigError
from tests.sra_rag.tiny_models import tiny_model, tokens


@pytest.mark.parametrize("implementation", ["sdpa", "eager", "sra"])
def test_restores_the_implementation(implementation):
    model = tiny_model("llama", implementation)
    before = model(tokens()).logits
    with reattend(model, 0.6):
        assert model.config._attn_implementation == "sra"
        assert not torch.equal(model(tokens()).logits, before)
    assert model.config._attn_implementation == implementation
    assert torch.equal(model(tokens()).logits, before)


def test_restores_after_an_exception():
    model = tiny_model("llama", "eager")
    with pytest.raises(KeyError), reattend(model, 0.6):
        raise KeyError
    assert model.config._attn_implementation == "eager"
    assert torch.equal(model(tokens()).logits, tiny_model("llama", "eager")(tokens()).logits)


def test_settings_that_do_not_fit_leave_the_model_alone():
    model = tiny_model("llama", "sdpa")
    for bad in (
        {"alpha": [0.1] * 7},
        {"alpha": [[0.1] * 5] * 3},
        {"layers": [3]},
        {"layers": "last:4"},
        {"heads": [6]},
        {"rows": "after_context"},
        {"rows": "generated"},
    ):
        with pytest.raises(ConfigError), reattend(model, bad):
            pass
        assert model.config._attn_implementation == "sdpa"
    with pytest.raises(ConfigError, match=">= 0"), reattend(model, {"rows": "after_context"}, context_length=-1):
        pass


def test_blocks_nest_and_the_inner_one_counts():
    model = tiny_model("llama", "sdpa")
    off = model(tokens()).logits
    with reattend(model, 0.6):
        strong = model(tokens()).logits
        with reattend(model, 0.1):
            weak = model(tokens()).logits
        with reattend(model, None):
            assert torch.equal(model(tokens()).logits, off)
        assert torch.equal(model(tokens()).logits, strong)
    assert not torch.equal(strong, weak)
    assert model.config._attn_implementation == "sdpa"


def test_layers_and_heads_chosen():
    model = tiny_model("llama")
    with reattend(model, SRAConfig(alpha=0.6, layers=[-1], heads=[0])):
        chosen = model(tokens()).logits
    alpha = [[0.0] * 6, [0.0] * 6, [0.6] + [0.0] * 5]
    with reattend(model, SRAConfig(alpha=alpha)):
        assert torch.equal(model(tokens()).logits, chosen)


def test_each_thread_has_its_own_settings():
    model = tiny_model("llama", "sdpa")
    settings = [None, 0.1, 0.6, SRAConfig(alpha=0.6, policy="focus")] * 2
    expected = []
    for sra in settings:
        with reattend(model, sra):
            expected.append(model(tokens()).logits)
    together = threading.Barrier(len(settings))

    def work(sra):
        with reattend(model, sra), torch.no_grad():
            together.wait()
            return [model(tokens()).logits for _ in range(5)]

    with ThreadPoolExecutor(len(settings)) as pool:
        for results, one in zip(pool.map(work, settings), expected, strict=True):
            assert all(torch.equal(result, one) for result in results)
    assert model.config._attn_implementation == "sdpa"


def test_a_thread_outside_any_block_is_off():
    model = tiny_model("llama", "sdpa")
    off = model(tokens()).logits
    with reattend(model, 0.6), ThreadPoolExecutor(1) as pool:
        assert torch.equal(pool.submit(lambda: model(tokens()).logits.detach()).result(), off)


async def test_each_task_has_its_own_settings():
    model = tiny_model("llama", "sdpa")

    async def work(sra):
        with reattend(model, sra), torch.no_grad():
            await asyncio.sleep(0)
            return model(tokens()).logits

    off, weak, strong = await asyncio.gather(work(None), work(0.1), work(0.6))
    assert torch.equal(off, model(tokens()).logits)
    assert not torch.equal(weak, strong)


@pytest.mark.parametrize(("rows", "lengths"), [("after_context", "context_length"), ("generated", "prompt_length")])
def test_earlier_rows_are_untouched(rows, lengths):
    model, ids = tiny_model("llama"), tokens(2)
    off = model(ids).logits
    with reattend(model, SRAConfig(alpha=0.6, rows=rows), **{lengths: [25, 30]}):
        logits = model(ids).logits
    for sequence, start in enumerate((25, 30)):
        torch.testing.assert_close(logits[sequence, :start], off[sequence, :start])
        assert (logits[sequence, start] - off[sequence, start]).abs().max() > 1e-3


def test_alpha_goes_to_a_device_once(monkeypatch):
    state = Session(SRAConfig(alpha=0.5), 1, 6)
    moved = []
    plain = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *a, **k: moved.append(tensor) or plain(tensor, *a, **k))
    entropy, count = torch.ones(1, 6, 4, device="meta"), torch.ones(4, device="meta")
    for _ in range(3):
        assert state.beta(0, 0, entropy, count, None).device.type == "meta"
    assert len(moved) == 1
