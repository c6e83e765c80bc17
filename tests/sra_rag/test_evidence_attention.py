"""Evidence weights on the fast path against the reference, over everything a model may bring to it."""

import math

import pytest
import torch

from sra_rag import SRAConfig
from sra_rag.attention.evidence import TO_END, Evidence
from sra_rag.attention.fast import fast_reattention
from sra_rag.attention.reference import scaled_reattention
from sra_rag.attention.session import Session
from sra_rag.attention.shares import AttentionShares, observing
from sra_rag.attention.visibility import Visibility
from sra_rag.errors import ConfigError
from tests.sra_rag.test_fast import SCALE, TOLERANCE, computing_by, padding, qkv, seen_by

pytestmark = pytest.mark.on_device

OFF, SHARP = SRAConfig(alpha=0.0), SRAConfig(alpha=0.6)
ONE_SPAN, TWO_SPANS = [[(4, 11)]], [[(2, 5), (8, 13)]]


@pytest.fixture(params=["kernels", "scores", "one pass"])
def path(request, monkeypatch):
    """Run a test on each of the three ways to compute."""
    with computing_by(request.param, monkeypatch):
        yield request.param


def weighted(config, spans, starts, *, weight=5.0, heads=None, **kwargs):
    evidence = Evidence(spans, starts, weight=weight, heads=heads, n_layers=1, n_heads=6)
    return Session(config, 1, 6, evidence=evidence, **kwargs)


def log_weights(visibility, spans, starts, weight, heads):
    """``log w`` for each row and key, drawn from the definition."""
    drawn = torch.zeros(len(spans), 6, visibility.n_rows, visibility.n_keys)
    for sequence, its_spans in enumerate(spans):
        for row in range(visibility.n_rows):
            for key in range(visibility.n_keys):
                position = key + visibility.key_position
                for number, (first, last) in enumerate(its_spans):
                    if first <= position < last and row + visibility.position >= starts[sequence]:
                        of_span = weight if isinstance(weight, float) else weight[sequence][number]
                        drawn[sequence, :, row, key] = math.log(of_span)
    if heads is not None:
        others = [head for head in range(6) if (0, head) not in heads]
        drawn[:, others] = 0
    return drawn


def check(q, k, v, visibility, config, spans, starts, *, weight=5.0, heads=None, softcap=None):
    output = fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE, softcap=softcap)
    extra = log_weights(visibility, spans, starts, weight, heads)
    settings = {"attention_mask": seen_by(visibility), "scale": SCALE, "policy": config.policy, "softcap": softcap}
    rows = torch.arange(visibility.n_rows) + visibility.position
    plain = scaled_reattention(q, k, v, alpha=0.0, log_weight=extra, **settings).output
    expected = scaled_reattention(q, k, v, alpha=config.alpha, log_weight=extra, **settings).output
    if config.rows == "after_context":
        sharpened = torch.stack([rows >= start for start in starts])[:, None, :, None]
        expected = torch.where(sharpened, expected, plain)
    assert output.dtype == q.dtype
    torch.testing.assert_close(output, expected, atol=TOLERANCE[q.dtype], rtol=TOLERANCE[q.dtype])
    return output


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("config", [OFF, SHARP, SHARP.replace(policy="constant"), SHARP.replace(rows="after_context")])
@pytest.mark.parametrize("spans", [ONE_SPAN, TWO_SPANS])
def test_prefill_of_one_sequence(path, dtype, config, spans):
    session = weighted(config, spans, [20], context_length=20)
    q, k, v = qkv(40, 40, batch=1, dtype=dtype)
    check(q, k, v, Visibility(session, 40, 40), config, spans, [20])


@pytest.mark.parametrize("pad", ["none", "left", "right"])
@pytest.mark.parametrize("window", [None, 5, 30])
@pytest.mark.parametrize(("rows", "past"), [(50, 0), (20, 30), (2, 48), (1, 49)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("config", [OFF, SHARP])
def test_batches_padding_windows_chunks_and_decoding(path, pad, window, rows, past, dtype, config):
    spans, starts = [[(3, 9), (20, 24)], [(22, 40)]], [25, 44]
    real = padding(pad, 2, rows + past)
    visibility = Visibility(weighted(config, spans, starts), rows, rows + past, position=past, window=window, real=real)
    check(*qkv(rows, rows + past, dtype=dtype), visibility, config, spans, starts)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("config", [OFF, SHARP])
@pytest.mark.parametrize("rows", [40, 9, 1])
def test_spans_of_different_weights(path, dtype, config, rows):
    spans, weights = [[(2, 5), (5, 9), (9, 13)]], [[4.0, 30.0, 1.5]]
    session = weighted(config, spans, [20], weight=weights)
    visibility = Visibility(session, rows, 40, position=40 - rows)
    check(*qkv(rows, 40, batch=1, dtype=dtype), visibility, config, spans, [20], weight=weights)


@pytest.mark.parametrize("pad", ["none", "left"])
@pytest.mark.parametrize("window", [None, 30])
@pytest.mark.parametrize("rows", [20, 1])
def test_spans_of_different_weights_in_a_batch(path, pad, window, rows):
    spans, starts, weights = [[(6, 9), (20, 24)], [(22, 40)]], [25, 44], [[2.0, 16.0], [3.0]]
    session = weighted(SHARP, spans, starts, weight=weights)
    real = padding(pad, 2, 50)
    visibility = Visibility(session, rows, 50, position=50 - rows, window=window, real=real)
    check(*qkv(rows, 50), visibility, SHARP, spans, starts, weight=weights)


@pytest.mark.parametrize("pad", ["none", "left", "right"])
@pytest.mark.parametrize("window", [None, 30])
@pytest.mark.parametrize("weights", [[[4.0, 4.0], [16.0]], [[2.0, 32.0], [16.0]]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [20, 1])
def test_spans_that_go_on_to_the_end(path, pad, window, weights, dtype, rows):
    spans, starts = [[(0, 9), (20, TO_END)], [(40, TO_END)]], [25, 44]
    session = weighted(SHARP, spans, starts, weight=weights)
    visibility = Visibility(session, rows, 50, position=50 - rows, window=window, real=padding(pad, 2, 50))
    check(*qkv(rows, 50, dtype=dtype), visibility, SHARP, spans, starts, weight=weights)


def test_spans_that_go_on_hold_each_token_that_is_added(path):
    """As while an answer is written: the same weights in force, one key more with each token."""
    spans, heads = [[(0, 5), (12, TO_END)]], [(0, 1), (0, 4)]
    session = weighted(OFF, spans, [14], heads=heads)
    q, k, v = qkv(30, 30, batch=1)
    for end in range(15, 31):
        visibility = Visibility(session, 1, end, position=end - 1)
        own = q[:, :, end - 1 : end], k[:, :, :end], v[:, :, :end]
        check(*own, visibility, OFF, spans, [14], heads=heads)


def test_keys_that_count_less_are_all_others_that_count_more(path):
    q, k, v = qkv(20, 40, batch=1)
    fewer = torch.zeros(20, 40)
    fewer[:, 8:20] = -math.log(16)
    expected = scaled_reattention(q, k, v, alpha=0.0, is_causal=True, scale=SCALE, log_weight=fewer).output
    session = weighted(OFF, [[(0, 8), (20, TO_END)]], [20], weight=16.0)
    output = fast_reattention(q, k, v, visibility=Visibility(session, 20, 40, position=20), layer=0, scale=SCALE)
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("rows", [1, 12])
def test_one_sequence_of_a_batch_without_evidence(path, rows):
    spans, starts = [[], [(5, 9)]], [10, 12]
    visibility = Visibility(weighted(SHARP, spans, starts), rows, 40, position=40 - rows)
    check(*qkv(rows, 40), visibility, SHARP, spans, starts)


@pytest.mark.parametrize("rows", [30, 1])
@pytest.mark.parametrize("heads", [(6, 6), (6, 3), (6, 1)])
def test_chosen_heads_and_grouped_queries(path, rows, heads):
    chosen = [(0, 1), (0, 4)]
    visibility = Visibility(weighted(OFF, ONE_SPAN, [12], heads=chosen), rows, 30, position=30 - rows)
    q, k, v = qkv(rows, 30, heads=heads, batch=1)
    output = check(q, k, v, visibility, OFF, ONE_SPAN, [12], heads=chosen)
    plain = Visibility(Session(OFF, 1, 6), rows, 30, position=30 - rows)
    untouched = fast_reattention(q, k, v, visibility=plain, layer=0, scale=SCALE)
    others = [0, 2, 3, 5]
    if path == "kernels" and rows == 1:
        assert torch.equal(output[:, others], untouched[:, others])
    torch.testing.assert_close(output[:, others], untouched[:, others], atol=1e-6, rtol=1e-6)
    before = max(0, 12 - (30 - rows))
    torch.testing.assert_close(output[:, :, :before], untouched[:, :, :before], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(output[:, 1, before:], untouched[:, 1, before:], atol=1e-3)


def test_a_layer_without_a_chosen_head_is_untouched(path):
    evidence = Evidence(ONE_SPAN, [12], weight=4.0, heads=[(1, 0)], n_layers=2, n_heads=6)
    q, k, v = qkv(30, 30, batch=1)
    outputs = [
        fast_reattention(q, k, v, visibility=Visibility(session, 30, 30), layer=0, scale=SCALE)
        for session in (Session(OFF, 2, 6, evidence=evidence), Session(OFF, 2, 6))
    ]
    assert torch.equal(*outputs)


@pytest.mark.parametrize("rows", [30, 1])
def test_soft_capped_scores(rows):
    visibility = Visibility(weighted(SHARP, ONE_SPAN, [12]), rows, 30, position=30 - rows)
    check(*qkv(rows, 30, batch=1), visibility, SHARP, ONE_SPAN, [12], softcap=2.0)


def test_a_static_cache(path):
    visibility = Visibility(weighted(OFF, ONE_SPAN, [12]), 10, 64, position=20)
    q, k, v = qkv(10, 64, batch=1)
    k[:, :, 30:], v[:, :, 30:] = float("nan"), float("nan")
    output = fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE)
    extra = log_weights(Visibility(visibility.session, 10, 30, position=20), ONE_SPAN, [12], 5.0, None)
    expected = scaled_reattention(
        q, k[:, :, :30], v[:, :, :30], alpha=0.0, is_causal=True, scale=SCALE, log_weight=extra
    ).output
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("rows", [4, 1])
def test_a_rolling_window_cache_that_holds_a_part_of_the_evidence(path, rows):
    spans = [[(90, 103)]]
    visibility = Visibility(weighted(OFF, spans, [104]), rows, 11, position=111 - rows, key_position=100, window=8)
    check(*qkv(rows, 11, batch=1), visibility, OFF, spans, [104])


def test_the_entropy_is_that_without_weights():
    q, k, v = qkv(20, 20, batch=1)
    extra = torch.zeros(20, 20)
    extra[:, 3:7] = 2.0
    plain, weighed = (
        scaled_reattention(q, k, v, alpha=0.6, is_causal=True, log_weight=log_weight) for log_weight in (None, extra)
    )
    assert torch.equal(plain.beta, weighed.beta)
    assert not torch.allclose(plain.output, weighed.output)


def test_a_weight_is_that_many_copies_of_a_key():
    q, k, v = qkv(1, 20, batch=1)
    three = [*range(20), 7, 7]  # the key at 7 stands three times
    expected = scaled_reattention(q, k[:, :, three], v[:, :, three], alpha=0.0, scale=SCALE).output
    visibility = Visibility(weighted(OFF, [[(7, 8)]], [0], weight=3.0), 1, 20, position=19)
    output = fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE)
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("config", [OFF, SHARP])
@pytest.mark.parametrize("rows", [1, 3])
def test_shares_are_those_of_the_weights_in_force(path, config, rows):
    q, k, v = qkv(rows, 30, batch=1)
    visibility = Visibility(weighted(config, ONE_SPAN, [12]), rows, 30, position=30 - rows)
    with observing(AttentionShares([(4, 11)], 30 - rows)) as shares:
        shares.position = 30 - rows
        fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE)
    identity = torch.eye(30).expand(1, 2, 30, 30)
    weights = scaled_reattention(
        q, k, identity, alpha=config.alpha, scale=SCALE, is_causal=True,
        log_weight=log_weights(visibility, ONE_SPAN, [12], 5.0, None),
    ).output  # fmt: skip
    torch.testing.assert_close(shares.by_layer()[0, 0], weights[..., 4:11].sum(-1).mean(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": 1.0}, "above 1"),
        ({"weight": math.inf}, "finite"),
        ({"weight": [[2.0, 1.0]], "spans": TWO_SPANS}, "above 1"),
        ({"weight": [[2.0, 3.0]]}, "one weight for all spans, or one for each span"),
        ({"spans": [[(5, 5)]]}, "span 5:5"),
        ({"spans": [[(5, 9), (8, 12)]]}, "do not overlap"),
        ({"starts": [1, 2]}, "1 sequences"),
        ({"heads": [(0, 6)]}, "Head 0.6 is not one of the model's"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    given = {"spans": ONE_SPAN, "starts": [12], "weight": 2.0, "heads": None, "n_layers": 1, "n_heads": 6} | changes
    spans, starts = given.pop("spans"), given.pop("starts")
    with pytest.raises(ConfigError, match=message):
        Evidence(spans, starts, **given)
