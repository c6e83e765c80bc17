"""Fold a constant setting into a model's weights: a checkpoint that any engine runs, with no sra-rag at all.

``softmax(beta * s) V`` with a beta that no row changes is ordinary attention whose query projection was scaled by beta,
head by head. Where a norm after the projection would undo that, the norm's own weight is scaled instead.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from os import PathLike
from pathlib import Path

import torch

from sra_rag.attention.reattend import make_session, reattend
from sra_rag.attention.session import Session
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError, UnsupportedModelError
from sra_rag.models.loading import LoadedModel

__all__ = ["bake", "save_baked"]

_FUSED_IN_FRONT = "qkv_proj"  # rows: all queries, then keys and values (Phi-3)
_FUSED_BY_HEAD = "query_key_value"  # rows: of each head its query, key and value (GPT-NeoX)
_CHECKED_TOKENS = 64
_ROUNDING = 0.02  # of the spread of the logits


def bake(loaded: LoadedModel, sra: SRAConfig) -> None:
    """Change the weights of a model so that it computes without sra-rag what `sra` computes at run time.

    The result is checked against the run-time policy on random tokens before it is handed over; where anything is
    refused the weights are left, or put back, as they were.

    Parameters
    ----------
    loaded
        The model. Its weights are changed in place.
    sra
        A constant setting for all rows; alpha may differ by layer and head.

    Raises
    ------
    ConfigError
        If the setting is not constant, or does not fit the model.
    UnsupportedModelError
        If the model's weights cannot hold it, with the reason.
    """
    if sra.policy != "constant" or sra.rows != "all":
        raise ConfigError(
            f'Only a constant factor for every row can be folded into weights: policy="constant" with rows="all". This '
            f"setting has policy={sra.policy!r} and rows={sra.rows!r}; give it to load_model(sra=...) instead."
        )
    model = loaded.model
    session = make_session(model, sra)
    if session is None:
        raise ConfigError("The setting is off (alpha 0): there is nothing to fold in. The model is its own result.")
    text = model.config.get_text_config(decoder=True)
    if getattr(model, "is_quantized", False):
        raise UnsupportedModelError("Quantized weights cannot be scaled exactly. Load the model without quantization.")
    if getattr(text, "attn_logit_softcapping", None) is not None:
        raise UnsupportedModelError(
            "The scores of this model are soft-capped after the query projection, where weights have no effect on them."
        )
    head_size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    tokens = torch.randint(0, text.vocab_size, (1, _CHECKED_TOKENS), generator=torch.Generator().manual_seed(0))
    off, expected = _logits(loaded, tokens, None), _logits(loaded, tokens, sra)
    changed: list[tuple[torch.Tensor, torch.Tensor]] = []
    try:
        layers = _attention_layers(model)
        for layer in range(session.n_layers):
            if session.sharpens(layer):
                if layer not in layers:
                    raise UnsupportedModelError(f"Layer {layer} of {type(model).__name__} has no attention to scale.")
                changed += _scale(layers[layer], _factors(session, layer), head_size)
        _check(off, expected, _logits(loaded, tokens, None), type(model).__name__)
    except BaseException:
        with torch.no_grad():
            for parameter, before in changed:
                parameter.copy_(before)
        raise


def save_baked(loaded: LoadedModel, sra: SRAConfig, folder: str | PathLike[str]) -> Path:
    """Bake a setting into a model and save it as a checkpoint of safetensors, whole or not at all.

    The file ``sra.json`` next to the checkpoint contains its setting.

    Raises
    ------
    ConfigError, UnsupportedModelError
        As `bake`; also if the folder is there and not empty.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is there already. Give a folder that is not, or is empty.")
    bake(loaded, sra)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        loaded.model.save_pretrained(beside)
        loaded.tokenizer.save_pretrained(beside)
        note = {"baked_from": loaded.name, "sra": sra.to_dict()}
        (beside / "sra.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        beside.chmod(0o755)  # mkdtemp keeps others out
        if target.exists():
            target.rmdir()
        beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return target


def _factors(session: Session, layer: int) -> torch.Tensor:
    """Return beta of each query head, ``(H_q,)`` float32: that of a constant policy, which no row changes."""
    one = torch.ones(1, session.n_heads, 1)
    return session.beta(layer, 0, one, one, None)[0, :, 0]


def _attention_layers(model: torch.nn.Module) -> dict[int, torch.nn.Module]:
    """Find the modules that project queries, by layer."""
    names = ("q_proj", _FUSED_IN_FRONT, _FUSED_BY_HEAD)
    found: dict[int, torch.nn.Module] = {}
    for module in model.modules():
        if isinstance(getattr(module, "layer_idx", None), int) and any(hasattr(module, name) for name in names):
            found[int(module.layer_idx)] = module  # type: ignore[arg-type]
    return found


def _scale(
    attention: torch.nn.Module, factors: torch.Tensor, head_size: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Scale the queries of one layer; return the parameters that were changed, with what they were."""
    norm = next((getattr(attention, name) for name in ("q_norm", "q_layernorm") if hasattr(attention, name)), None)
    if isinstance(norm, torch.nn.Module):
        return _scale_norm(norm, factors, head_size)
    by_row = factors.repeat_interleave(head_size)
    n_heads = len(factors)
    if hasattr(attention, "q_proj"):
        projection = attention.q_proj
    elif hasattr(attention, _FUSED_IN_FRONT):
        projection = getattr(attention, _FUSED_IN_FRONT)
        by_row = torch.cat((by_row, torch.ones(projection.weight.shape[0] - len(by_row))))
    else:
        projection = getattr(attention, _FUSED_BY_HEAD)
        by_head = torch.ones(n_heads, 3, head_size)
        by_head[:, 0] = factors[:, None]
        by_row = by_head.flatten()
    if not isinstance(projection, torch.nn.Linear) or projection.weight.shape[0] != len(by_row):
        raise UnsupportedModelError(
            f"{type(attention).__name__} projects queries in a way that is not known here. Known are q_proj, "
            f"{_FUSED_IN_FRONT} and {_FUSED_BY_HEAD}, each an ordinary linear layer."
        )
    parameters = [projection.weight] + ([projection.bias] if projection.bias is not None else [])
    return [_multiply(parameter, by_row.view(-1, *[1] * (parameter.ndim - 1))) for parameter in parameters]


def _scale_norm(
    norm: torch.nn.Module, factors: torch.Tensor, head_size: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Scale the norm after the projection, whatever form its weight has; the one that works is kept."""
    weight = getattr(norm, "weight", None)
    if not isinstance(weight, torch.nn.Parameter) or getattr(norm, "bias", None) is not None:
        raise UnsupportedModelError(f"{type(norm).__name__}, the norm of the queries, has no weight alone to scale.")
    if weight.numel() == head_size:
        if float(factors.max() - factors.min()) > 0:
            raise UnsupportedModelError(
                "A norm that all heads of a layer share follows the query projection, so it can hold one factor "
                "a layer. This setting has several; give one alpha a layer, or run it with load_model(sra=...)."
            )
        factor = factors[:1]
    elif weight.numel() == len(factors) * head_size:
        factor = factors.repeat_interleave(head_size)
    else:
        raise UnsupportedModelError(f"{type(norm).__name__}, the norm of the queries, has a weight of unknown shape.")
    probe = torch.randn(1, weight.numel(), generator=torch.Generator().manual_seed(0)).to(weight)
    with torch.no_grad():
        wanted = norm(probe).float() * factor.to(weight.device)
        before = weight.detach().clone()
        for offset in (0.0, 1.0):  # Gemma's norms multiply by 1 + weight
            weight.copy_((before.float() + offset) * factor.to(weight.device) - offset)
            if torch.allclose(norm(probe).float(), wanted, rtol=0.02, atol=1e-3):
                return [(weight, before)]
        weight.copy_(before)
    raise UnsupportedModelError(f"{type(norm).__name__}, the norm of the queries, does not scale with its weight.")


def _multiply(parameter: torch.Tensor, factor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    before = parameter.detach().clone()
    with torch.no_grad():
        parameter.copy_(before.float() * factor.to(parameter.device))
    return parameter, before


@torch.inference_mode()
def _logits(loaded: LoadedModel, tokens: torch.Tensor, sra: SRAConfig | None) -> torch.Tensor:
    with reattend(loaded.model, sra):
        return loaded.model(input_ids=tokens.to(loaded.device), use_cache=False).logits.float().cpu()


def _check(off: torch.Tensor, expected: torch.Tensor, baked: torch.Tensor, name: str) -> None:
    """Refuse a result that is not what the policy computes, but for rounding."""
    error, effect, spread = (
        float(values.pow(2).mean().sqrt()) for values in (baked - expected, off - expected, expected - expected.mean())
    )
    if error > max(0.5 * effect, _ROUNDING * spread):
        raise UnsupportedModelError(
            f"Folded into the weights of {name}, the setting does not compute what it does at run time (logits differ "
            f"by {error:.3g}; the setting's own effect is {effect:.3g}). The weights are as they were; run it with "
            "load_model(sra=...)."
        )
