"""What of a model vLLM serves with reattention, and which part of it a worker holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm.config import CompilationMode
from vllm.distributed import get_tensor_model_parallel_rank
from vllm.model_executor.models.utils import extract_layer_index
from vllm.utils.torch_utils import is_quantized_kv_cache

from sra_rag.errors import UnsupportedModelError
from vllm_sra.plugin.batch import HeadShare

if TYPE_CHECKING:
    from vllm.config import VllmConfig

__all__ = [
    "head_share",
    "layer_index",
    "refuse_configuration",
    "refuse_speculation",
    "refuse_uncompiled_stages",
    "refuse_unservable",
]


def head_share(vllm_config: VllmConfig, n_heads_here: int) -> HeadShare:
    """Return the heads that this worker holds; vLLM gives each rank of tensor parallelism the next ones."""
    text = vllm_config.model_config.hf_text_config
    first = get_tensor_model_parallel_rank() * n_heads_here
    return HeadShare(text.num_hidden_layers, text.num_attention_heads, first, first + n_heads_here)


def refuse_speculation(vllm_config: VllmConfig) -> None:
    """Refuse speculative decoding: vLLM then tells no plugin which request stands where.

    Raises
    ------
    UnsupportedModelError
        When the engine starts.
    """
    if vllm_config.speculative_config is not None:
        raise UnsupportedModelError(
            "Speculative decoding cannot be served with reattention. Serve without it, or without reattention "
            "(VLLM_PLUGINS without sra)."
        )


def refuse_uncompiled_stages(vllm_config: VllmConfig) -> None:
    """Refuse pipeline parallelism on CPU where the model is not compiled.

    vLLM's first model runner, the one that tells plugins which request stands where, makes the buffers of later stages
    while it warms a compiled model up, and on CPU nowhere else: without, the first request ends the engine.

    Raises
    ------
    UnsupportedModelError
        When the engine starts.
    """
    uncompiled = vllm_config.compilation_config.mode == CompilationMode.NONE
    if uncompiled and vllm_config.parallel_config.pipeline_parallel_size > 1:
        raise UnsupportedModelError(
            "Pipeline parallelism cannot be served on CPU with reattention where the model is not compiled "
            "(--enforce-eager, LoRA). Leave that out, use --tensor-parallel-size instead, or serve without reattention "
            "(VLLM_PLUGINS without sra)."
        )


def refuse_configuration(vllm_config: VllmConfig) -> None:
    """Refuse models and ways of serving in which rows, keys or requests stand elsewhere than reattention looks.

    Raises
    ------
    UnsupportedModelError
        When the engine starts, naming what it is.
    """
    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    reasons = {
        "its attention is latent (MLA)": model.use_mla,
        "its attention is local to chunks (attention_chunk_size)": model.attention_chunk_size is not None,
        "the tokens of an image or prefix see each other (prefix LM)": model.is_mm_prefix_lm,
        "it sees a prompt and a window (R-SWA)": model.rswa_window is not None,
        "rows see keys behind their own (use_non_causal)": vllm_config.attention_config.use_non_causal,
        "batches are split in two (--enable-dbo)": parallel.use_ubatching,
        "keys are shared out among workers (context parallelism)": max(
            parallel.decode_context_parallel_size, parallel.prefill_context_parallel_size
        ) > 1,
        "rows are left out (--kv-sharing-fast-prefill)": vllm_config.cache_config.kv_sharing_fast_prefill,
        "vLLM serves it by its second model runner, which tells no plugin which request stands where": (
            vllm_config.use_v2_model_runner
        ),
    }  # fmt: skip
    found = [reason for reason, applies in reasons.items() if applies]
    if found:
        raise UnsupportedModelError(
            f"This model cannot be served with reattention in this way: {'; '.join(found)}. Serve it without "
            "(VLLM_PLUGINS without sra), or change what is named."
        )


def layer_index(layer: Any) -> int:
    """Return the index of an attention layer in the whole model."""
    return extract_layer_index(layer.layer_name)


def refuse_unservable(
    *, soft_cap: float | None, alibi: bool, sinks: bool, kv_cache_dtype: str, chunked: bool = False
) -> None:
    """Refuse attention that sharpening would not do right.

    Raises
    ------
    UnsupportedModelError
        When the model is loaded, naming what it is.
    """
    reasons = {
        "its scores are soft-capped": bool(soft_cap),
        "a position bias is added to its scores (ALiBi)": alibi,
        "its attention has sinks, which take a share of the softmax": sinks,
        "its attention is local to chunks": chunked,
        f"its key/value cache is quantized ({kv_cache_dtype})": is_quantized_kv_cache(kv_cache_dtype),
    }
    found = [reason for reason, applies in reasons.items() if applies]
    if found:
        raise UnsupportedModelError(
            f"This model cannot be served with reattention: {'; '.join(found)}. Serve it without (VLLM_PLUGINS without "
            "sra), or with transformers (sra-rag serve), which sharpens soft-capped scores too."
        )
