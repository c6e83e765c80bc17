"""Evidence heads of models, and measured settings.

Those of measured models are part of sra-rag (`measured.json`, by fingerprint). The heads of other models are found when
`evidence` is first used with them, and saved in the cache of the user.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from filelock import FileLock
from transformers import PreTrainedModel

from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.evidence_config import EvidenceConfig, HeadChoice
from sra_rag.heads.head_search import EvidenceHead, find_evidence_heads
from sra_rag.heads.progress import head_bar
from sra_rag.models.embedded import cache_folder
from sra_rag.models.fingerprint import fingerprint
from sra_rag.models.loading import LoadedModel

__all__ = [
    "UNMEASURED",
    "best_heads",
    "chosen_heads",
    "evidence_heads",
    "fitted_settings",
    "fitted_to",
    "keep_settings",
    "known_heads",
    "measured_settings",
    "settings_of",
]

logger = logging.getLogger(__name__)

UNMEASURED = SRAConfig(alpha=0.0, evidence=EvidenceConfig(weight=2.0, heads="all", gate="agree"))
"""Settings for a model that was not measured: the mildest weight tried, which showed no harm on measured models."""

_KEPT = 100  # heads in the cache
_lock = threading.RLock()
_known: WeakKeyDictionary[PreTrainedModel, tuple[EvidenceHead, ...]] = WeakKeyDictionary()


def evidence_heads(model: LoadedModel) -> tuple[EvidenceHead, ...]:
    """Return the evidence heads of a model, best first. They are found and saved on first use.

    Finding them takes about as long as 40 prompts of 1,000 tokens, with a progress bar.
    """
    with _lock:
        if model.model not in _known:
            _known[model.model] = _look_up(model)
        return _known[model.model]


def chosen_heads(model: LoadedModel, choice: HeadChoice) -> tuple[tuple[int, int], ...] | None:
    """Return the heads that a setting chooses, as pairs of layer and query head; None for all.

    Raises
    ------
    ConfigError
        If the model does not have them.
    """
    if choice == "all":
        return None
    text = model.model.config.get_text_config(decoder=True)
    n_layers, n_heads = text.num_hidden_layers, text.num_attention_heads
    if isinstance(choice, tuple):
        for layer, head in choice:
            if layer >= n_layers or head >= n_heads:
                raise ConfigError(
                    f"The evidence setting names head {layer}.{head}, but the model has {n_layers} layers of {n_heads} "
                    f"heads (0.0 to {n_layers - 1}.{n_heads - 1})."
                )
        return choice
    return best_heads(evidence_heads(model), min(choice, n_layers * n_heads))


def best_heads(ranked: Sequence[EvidenceHead], count: int) -> tuple[tuple[int, int], ...]:
    """Return the best heads of a model, as pairs of layer and query head.

    Raises
    ------
    ConfigError
        If fewer are ranked.
    """
    if count > len(ranked):
        raise ConfigError(
            f"The evidence setting asks for the {count} best heads, but only {len(ranked)} are ranked. Ask for at most "
            f'{len(ranked)}, or for "all".'
        )
    return tuple((head.layer, head.head) for head in ranked[:count])


def known_heads(name: str) -> tuple[EvidenceHead, ...] | None:
    """Return the evidence heads of the model with a fingerprint, best first; None if they were never found."""
    known = _measured().get(name)
    if known is not None:
        return _heads_of(known)
    path = _heads_path(name)
    if not path.is_file():
        return None
    try:
        return _heads_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("The evidence heads in %s cannot be read (%s) and are not used.", path, error)
        return None


def measured_settings(model: LoadedModel) -> SRAConfig:
    """Return the measured settings of a model, or `UNMEASURED` if it was not measured.

    Settings that the user found (`keep_settings`) precede those that come with sra-rag.
    """
    return settings_of(fingerprint(model.model))


def settings_of(name: str) -> SRAConfig:
    """Return the measured settings of the model with a fingerprint, or `UNMEASURED` if it was not measured."""
    path = _settings_path(name)
    if path.is_file():
        try:
            return SRAConfig.from_dict(json.loads(path.read_text(encoding="utf-8"))["sra"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("The settings in %s cannot be read (%s) and are not used.", path, error)
    known = _measured().get(name, {})
    return SRAConfig.from_dict(known["sra"]) if "sra" in known else UNMEASURED


def keep_settings(model: LoadedModel, sra: SRAConfig) -> Path:
    """Keep settings in the cache of the user as those that ``sra="evidence"`` selects for a model.

    Raises
    ------
    ConfigError
        If the settings leave the weight of evidence to what was measured, which is what they define.
    """
    if sra.evidence is not None and sra.evidence.automatic:
        raise ConfigError("Settings to keep for a model need a weight of the evidence, such as evidence=4.")
    path = _settings_path(fingerprint(model.model))
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, {"model": model.name, "sra": sra.to_dict()})
    return path


def fitted_settings(sra: SRAConfig | None, model: LoadedModel) -> SRAConfig | None:
    """Replace automatic evidence settings (without a weight) with those measured on the model, see `fitted_to`."""
    if sra is None or sra.evidence is None or not sra.evidence.automatic:
        return sra
    return fitted_to(measured_settings(model), sra)


def fitted_to(measured: SRAConfig, sra: SRAConfig) -> SRAConfig:
    """Return automatic evidence settings with the measured values of a model.

    What was given beside them is kept: sharpening, and fields of evidence with another value than their default
    (``evidence.passages=2``).
    """
    evidence = measured.evidence
    if evidence is not None and sra.evidence is not None:
        automatic = EvidenceConfig()
        values = {field.name: getattr(sra.evidence, field.name) for field in dataclasses.fields(automatic)}
        given = {name: value for name, value in values.items() if value != getattr(automatic, name)}
        if not sra.evidence.words:
            given["gate"] = sra.evidence.gate  # "agree" needs words
        evidence = evidence.replace(**given)
    return (sra if sra.sharpens else measured).replace(evidence=evidence)


def _heads_path(name: str) -> Path:
    return cache_folder() / "heads" / f"{name}.json"


def _settings_path(name: str) -> Path:
    return cache_folder() / "settings" / f"{name}.json"


def _look_up(model: LoadedModel) -> tuple[EvidenceHead, ...]:
    name = fingerprint(model.model)
    known = _measured().get(name)
    if known is not None:
        return _heads_of(known)
    path = _heads_path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if path.is_file():
                return _heads_of(json.loads(path.read_text(encoding="utf-8")))
            heads = _find(model)
            _write(path, {"model": model.name, "heads": [dataclasses.astuple(head) for head in heads]})
            return heads
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("The evidence heads in %s cannot be read or kept (%s); they are found again.", path, error)
        return _find(model)


def _find(model: LoadedModel) -> tuple[EvidenceHead, ...]:
    logger.info("Finding the evidence heads of %s, once.", model.name)
    with head_bar(model.name) as progress:
        return tuple(find_evidence_heads(model, progress=progress)[:_KEPT])


def _heads_of(content: Mapping[str, Any]) -> tuple[EvidenceHead, ...]:
    heads = (EvidenceHead(int(layer), int(head), float(s), float(a)) for layer, head, s, a in content["heads"])
    return tuple(heads)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


@functools.cache
def _measured() -> dict[str, Any]:
    text = resources.files("sra_rag.heads").joinpath("measured.json").read_text(encoding="utf-8")
    models: dict[str, Any] = json.loads(text)
    return models
