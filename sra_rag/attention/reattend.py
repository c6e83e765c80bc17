"""Turn reattention on for a loaded Hugging Face model, for the length of a ``with`` block."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sra_rag.attention.interface import ATTENTION_NAME
from sra_rag.attention.session import Length, Session, activate
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import UnsupportedModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["enable", "make_session", "reattend"]

_lock = threading.Lock()
_switched: WeakKeyDictionary[PreTrainedModel, _Switched] = WeakKeyDictionary()


class _Switched:
    """What a model's configs named before, and how many blocks hold it on sra-rag's attention."""

    def __init__(self, original: list[tuple[Any, str]]) -> None:
        self.original = original
        self.blocks = 0


@contextmanager
def reattend(
    model: PreTrainedModel,
    sra: SRALike,
    *,
    context_length: Length | None = None,
    prompt_length: Length | None = None,
) -> Iterator[Session | None]:
    """Sharpen the attention of `model` within the block, in this thread (or asyncio task) only.

    On leaving, also by an exception, the model is what it was. Blocks nest, and other threads may use the same
    model meanwhile with settings of their own or none.

    Parameters
    ----------
    model
        A causal language model of transformers. Nothing of it is copied or patched: its attention
        implementation is set to ``"sra"`` and back.
    sra
        `SRAConfig`, dict, alpha, text as for `sra_rag.notation.parse_sra`, path of a JSON file, or None for off.
    context_length
        For ``rows="after_context"``: positions that the context takes, padding included; one number or one per
        sequence.
    prompt_length
        For ``rows="generated"``: likewise for the whole prompt.

    Yields
    ------
    session
        The settings in force, or None.

    Raises
    ------
    ConfigError
        If the settings do not fit the model.
    UnsupportedModelError
        If the model's attention cannot be replaced.

    Examples
    --------
    >>> with reattend(model, SRAConfig(alpha=0.2)):  # doctest: +SKIP
    ...     model.generate(**inputs)
    """
    session = make_session(model, sra, context_length=context_length, prompt_length=prompt_length)
    _acquire(model)
    try:
        with activate(session):
            yield session
    finally:
        _release(model)


def make_session(
    model: PreTrainedModel,
    sra: SRALike,
    *,
    context_length: Length | None = None,
    prompt_length: Length | None = None,
) -> Session | None:
    """Fit settings to a model; None where they are off. Raises as `reattend` does."""
    config = SRAConfig.coerce(sra)
    if config is None:
        return None
    text = model.config.get_text_config(decoder=True)
    session = Session(config, text.num_hidden_layers, text.num_attention_heads, context_length, prompt_length)
    return session if config.enabled else None


def enable(model: PreTrainedModel) -> None:
    """Set `model` to sra-rag's attention for good, which is sdpa's until a session is active.

    Raises
    ------
    UnsupportedModelError
        If the model does not take part in transformers' attention interface.
    """
    if _implementation(model.config) == ATTENTION_NAME:
        return
    model.set_attn_implementation(ATTENTION_NAME)
    if _implementation(model.config) != ATTENTION_NAME:
        raise UnsupportedModelError(
            f"{type(model).__name__} computes its attention itself instead of through transformers' attention "
            "interface, so it cannot be sharpened. Use a model that does (Llama, Mistral, Qwen, Phi, Gemma, "
            "GPT-NeoX and most newer ones), or run this one without sra."
        )


def _acquire(model: PreTrainedModel) -> None:
    with _lock:
        switched = _switched.get(model)
        if switched is None:
            switched = _Switched([(config, _implementation(config)) for config in _configs(model)])
            try:
                enable(model)
            except BaseException:
                _restore(switched)
                raise
            _switched[model] = switched
        switched.blocks += 1


def _release(model: PreTrainedModel) -> None:
    with _lock:
        switched = _switched[model]
        switched.blocks -= 1
        if switched.blocks == 0:
            _restore(switched)
            del _switched[model]


def _configs(model: PreTrainedModel) -> list[Any]:
    """Return the configs of a model and of the models inside it, each once."""
    found = {id(part.config): part.config for part in model.modules() if hasattr(part, "set_attn_implementation")}
    return list(found.values())


# transformers offers `set_attn_implementation` but no public way to read the present one, and setting it back goes
# through checks (installed kernels, for instance) that must not prevent restoring. Should these
# attributes move, tests/sra_rag/test_reattend.py fails.
def _implementation(config: Any) -> str:
    return config._attn_implementation


def _restore(switched: _Switched) -> None:
    for config, name in switched.original:
        config._attn_implementation_internal = name
