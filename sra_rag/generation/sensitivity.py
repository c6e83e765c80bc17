"""Which heads matter: how the likelihood of a given answer moves with the strength of each, from one backward pass."""

from __future__ import annotations

import torch

from sra_rag.attention.reattend import reattend
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError, ContextOverflowError, PromptError
from sra_rag.generation.engine import Engine, Prompt

__all__ = ["alpha_gradient"]


def alpha_gradient(
    engine: Engine, prompt: Prompt, answer: str, *, context: str | None = None, sra: SRAConfig
) -> tuple[float, torch.Tensor]:
    """Differentiate the negative log-likelihood of an answer by alpha, head by head.

    Exact for the constant policy. For the others the entropy of a row counts as given: that sharpening an early layer
    changes the entropies of later ones is left out.

    Parameters
    ----------
    engine
        The model; its activations for prompt and answer are held in memory at once.
    prompt, answer, context
        As for `answer_likelihood`.
    sra
        The setting at which to differentiate; its alpha must be above 0 somewhere.

    Returns
    -------
    nats
        Negative log-likelihood of the answer.
    gradient
        ``(L, H_q)``, float32, nats per unit of alpha; below 0 where more sharpening makes the answer likelier.

    Raises
    ------
    ConfigError
        If the setting is off, or weighs evidence.
    PromptError, ContextOverflowError
        As `answer_likelihood`.
    """
    if sra.evidence is not None:
        raise ConfigError("The gradient is that of sharpening alone. Give a setting without evidence.")
    encoded = engine.encode(prompt, context=context)
    answer_ids = engine.encoder.encode_rendered(engine.encoder.shield(answer)).token_ids
    if not answer_ids or not encoded.token_ids:
        raise PromptError("The prompt or the answer is empty. Give at least one token of each.")
    length, n_answer = len(encoded.token_ids), len(answer_ids)
    if length + n_answer > engine.context_window:
        raise ContextOverflowError(length, n_answer, engine.context_window)
    model, device = engine.loaded.model, engine.loaded.device
    ids = torch.tensor([[*encoded.token_ids, *answer_ids]], device=device)
    with (
        torch.enable_grad(),
        reattend(model, sra, context_length=encoded.context_length, prompt_length=length) as session,
    ):
        if session is None:
            raise ConfigError("The setting is off, and has no gradient. Give an alpha above 0.")
        alpha = session.alpha_with_gradient()
        logits = model(input_ids=ids[:, :-1], use_cache=False, logits_to_keep=n_answer).logits[0]
        nats = torch.nn.functional.cross_entropy(logits.float(), ids[0, -n_answer:], reduction="sum")
        # By alpha alone: the weights gather nothing.
        [gradient] = torch.autograd.grad(nats, [alpha])
    return float(nats.detach()), gradient
