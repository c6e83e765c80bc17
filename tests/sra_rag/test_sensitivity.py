"""The gradient by head, held to differences of whole forward passes; looking leaves the model as it was."""

import dataclasses

import pytest

from sra_rag import Engine, SRAConfig
from sra_rag.errors import ConfigError, ContextOverflowError, PromptError
from sra_rag.generation.likelihood import answer_likelihood
from sra_rag.generation.sensitivity import alpha_gradient
from sra_rag.models.loading import LoadedModel
from tests.sra_rag.tiny_models import tiny_model

PROMPT, ANSWER = "Aa bb cc dd Aa bb", " cc dd"


@pytest.fixture
def small(tiny):
    """A tiny random model that reads text by the embedded model's tokenizer, folded into its small vocabulary."""
    model = tiny_model("llama")
    engine = Engine(LoadedModel(model, tiny.tokenizer, "tiny"), context_window=60)
    encode = engine.encoder.encode_rendered

    def folded(text, **options):
        found = encode(text, **options)
        return dataclasses.replace(found, token_ids=tuple(3 + token % 90 for token in found.token_ids))

    engine.encoder.encode_rendered = folded
    return engine


def nats(engine, alpha, **options):
    sra = SRAConfig(alpha=alpha, **options)
    return answer_likelihood(engine, PROMPT, ANSWER, sra=sra).nats


@pytest.mark.parametrize("rows", ["all", "after_context", "generated"])
def test_it_is_what_a_small_step_changes(small, rows):
    alpha = [[0.2] * 6 for _ in range(3)]
    value, gradient = alpha_gradient(small, PROMPT, ANSWER, sra=SRAConfig(alpha=0.2, policy="constant", rows=rows))
    assert gradient.shape == (3, 6)
    assert value == pytest.approx(nats(small, 0.2, policy="constant", rows=rows), abs=1e-3)
    for layer, head in ((0, 0), (1, 3), (2, 5)):
        steps = []
        for step in (0.01, -0.01):
            moved = [list(row) for row in alpha]
            moved[layer][head] += step
            steps.append(nats(small, tuple(map(tuple, moved)), policy="constant", rows=rows))
        assert float(gradient[layer, head]) == pytest.approx((steps[0] - steps[1]) / 0.02, abs=5e-3)


def test_heads_that_are_off_have_one_too(small):
    sra = SRAConfig(alpha=0.2, layers=(1,), policy="constant")
    _, gradient = alpha_gradient(small, PROMPT, ANSWER, sra=sra)
    assert (gradient != 0).any(dim=1).tolist() == [True, True, True]


def test_the_model_is_left_alone(small):
    model = small.loaded.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    alpha_gradient(small, PROMPT, ANSWER, sra=SRAConfig(alpha=0.2))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all((value == before[name]).all() for name, value in model.state_dict().items())


def test_what_has_no_gradient_is_refused(small):
    with pytest.raises(ConfigError, match="off"):
        alpha_gradient(small, PROMPT, ANSWER, sra=SRAConfig(alpha=0.0))
    with pytest.raises(PromptError, match="empty"):
        alpha_gradient(small, PROMPT, "", sra=SRAConfig())
    with pytest.raises(ContextOverflowError):
        alpha_gradient(small, PROMPT, ANSWER * 60, sra=SRAConfig())
