"""Refuse a model whose files contradict each other, which transformers loads with a warning.

A weight that is missing gets random numbers, and layers that the configuration does not have are left out. Both happen
with truncated downloads and edited configurations, and the answers of such a model look like answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sra_rag.errors import ModelLoadError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

__all__ = ["require_all_weights", "require_sane_config"]

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
_MOST_SHOWN = 3
# Values outside of these ranges make a model that hangs while it is built, or that computes infinite or equal values.
_RANGES = {
    "num_hidden_layers": (1, 10_000),
    "num_attention_heads": (1, 100_000),
    "num_key_value_heads": (1, 100_000),
    "max_position_embeddings": (1, 10**9),
    "rms_norm_eps": (0.0, 0.1),
    "layer_norm_eps": (0.0, 0.1),
    "layer_norm_epsilon": (0.0, 0.1),
    "norm_epsilon": (0.0, 0.1),
    "norm_eps": (0.0, 0.1),
    "rope_theta": (1.0, 1e15),
}


def require_sane_config(config: PreTrainedConfig, name: str) -> None:
    """Raise if a value of a configuration cannot be right for any model.

    Parameters
    ----------
    config
        Configuration of the model, before its weights are read.
    name
        Name of the model for the message.

    Raises
    ------
    ModelLoadError
        If a value is out of range.
    """
    values: dict[str, Any] = config.get_text_config(decoder=True).to_dict()
    for key, value in [*values.items(), *_rope_values(values.get("rope_parameters"))]:
        least, most = _RANGES.get(key, (None, None))
        if least is None or most is None or value is None:
            continue
        if not isinstance(value, int | float) or not least <= value <= most:
            raise ModelLoadError(
                f"The model {name!r} could not be loaded: its configuration has {key}={value!r}; {least:,} to {most:,} "
                "are allowed. Get a new copy of its config.json."
            )


def require_all_weights(model: PreTrainedModel, info: Mapping[str, Iterable[Any]], name: str) -> None:
    """Raise if weights of a model were not in its files, or if the files have layers that the model does not have.

    Other weights that the model does not have are allowed: checkpoints also contain parts for pictures or training.

    Parameters
    ----------
    model
        The model as loaded.
    info
        What transformers returns with ``output_loading_info=True``.
    name
        Name of the model for the message.

    Raises
    ------
    ModelLoadError
        If the weights and the configuration do not fit together.
    """
    own = {_NUMBER.sub("#", key) for key in model.state_dict()}
    problems = {
        "missing from its files": list(info["missing_keys"]),
        "of another shape in its files": [str(mismatch[0]) for mismatch in info["mismatched_keys"]],
        "of layers that its configuration does not have": [
            key for key in info["unexpected_keys"] if _NUMBER.sub("#", key) in own
        ],
    }
    texts = [_listed(sorted(keys), what) for what, keys in problems.items() if keys]
    if texts:
        raise ModelLoadError(
            f"The model {name!r} could not be loaded: its weights do not fit its configuration: {'; '.join(texts)}. "
            "Get a new copy of the folder, with config.json and all safetensors files."
        )


def _rope_values(rope: object) -> list[tuple[str, Any]]:
    """Return the values of rotary embeddings, which may be given for each type of layer."""
    items: list[tuple[str, Any]] = []
    if not isinstance(rope, Mapping):
        return items
    for key, value in rope.items():
        items += value.items() if isinstance(value, Mapping) else [(key, value)]
    return items


def _listed(keys: list[str], what: str) -> str:
    more = f" and {len(keys) - _MOST_SHOWN} more" if len(keys) > _MOST_SHOWN else ""
    return f"{', '.join(keys[:_MOST_SHOWN])}{more} {'is' if len(keys) == 1 else 'are'} {what}"
