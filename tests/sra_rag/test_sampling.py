import pytest
import torch

from sra_rag.errors import ConfigError
from sra_rag.generation.logits_processors import logits_processors
from sra_rag.generation.sampling import SamplingOptions


def draws(options, logits, n=4000):
    processors = logits_processors(options, n)
    scores = processors(torch.zeros(n, 1, dtype=torch.long), logits.expand(n, -1).clone())
    return torch.bincount(scores.argmax(-1), minlength=logits.numel()) / n


def test_draws_follow_the_distribution():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    expected = torch.softmax(logits / 0.8, -1)
    options = SamplingOptions(temperature=0.8)
    torch.manual_seed(1)
    observed = draws(options, logits, n=20000)
    assert (observed - expected).abs().max() < 0.02  # five standard errors


@pytest.mark.parametrize(
    ("limit", "left"), [({"top_k": 2}, 2), ({"top_p": 0.6}, 1), ({"min_p": 0.3}, 2), ({"typical_p": 0.3}, 1)]
)
def test_limits_leave_only_some_tokens(limit, left):
    observed = draws(SamplingOptions(temperature=1.0, **limit), torch.tensor([2.0, 1.0, -1.0, -2.0]), n=500)
    assert (observed > 0).sum() == left


def test_a_seed_reproduces_alone_and_in_a_batch():
    logits = torch.randn(1, 1000)
    options = SamplingOptions(temperature=1.0, seed=7)
    alone = logits_processors(options, 1)(None, logits)
    batch = logits_processors(options, 3)(None, logits.expand(3, -1))
    assert torch.equal(alone.expand(3, -1), batch)
    other = logits_processors(options.replace(seed=8), 1)(None, logits)
    assert not torch.equal(alone, other)


def test_temperature_zero_needs_no_processor():
    assert len(logits_processors(SamplingOptions(), 1)) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_new_tokens": 0}, ">= 1"),
        ({"temperature": -1}, ">= 0"),
        ({"top_p": 0.0}, "above 0"),
        ({"top_k": 0}, ">= 1"),
        ({"repetition_penalty": 0}, "> 0"),
        ({"stop": [""]}, "not empty"),
        ({"num_beams": 4}, "one sequence"),
        ({"do_sample": True}, "set temperature"),
        ({"temprature": 1}, "Known are"),
    ],
)
def test_what_is_not_allowed_is_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        SamplingOptions().replace(**options)


def test_a_single_stop_text_need_not_be_in_a_list():
    assert SamplingOptions(stop="END").stop == ("END",)


def test_fields_of_generation_config_are_passed_on():
    assert SamplingOptions().replace(no_repeat_ngram_size=3).extra == {"no_repeat_ngram_size": 3}


@pytest.mark.parametrize("seed", [-(2**63), -1, 0, 2**64 - 1])
def test_seeds_of_64_bits_are_accepted(seed):
    logits = torch.randn(1, 100)
    options = SamplingOptions(temperature=1.0, seed=seed)
    assert torch.equal(logits_processors(options, 1)(None, logits), logits_processors(options, 1)(None, logits))


@pytest.mark.parametrize("seed", [-(2**63) - 1, 2**64, 10**400])
def test_larger_seeds_are_rejected(seed):
    with pytest.raises(ConfigError, match="it must be at most 64 bits"):
        SamplingOptions(seed=seed)
