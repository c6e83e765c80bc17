import pytest
import torch

from sra_rag.policies import POLICIES

RATIO = torch.linspace(0, 1, 11)


@pytest.mark.parametrize(
    ("name", "curve"),
    [("entropy", RATIO), ("focus", 1 - RATIO), ("constant", torch.ones(11))],
)
def test_curves(name, curve):
    torch.testing.assert_close(POLICIES[name].curve(RATIO), curve)


def test_every_policy_is_listed_here():
    assert set(POLICIES) == {"entropy", "focus", "constant"}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_no_policy_flattens_or_overshoots(policy):
    assert ((policy.curve(RATIO) >= 0) & (policy.curve(RATIO) <= 1)).all()


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_policy_that_needs_no_entropy_does_not_look_at_it(policy):
    looks = not torch.equal(policy.curve(RATIO), policy.curve(RATIO.flip(0)))
    assert looks == policy.needs_entropy
