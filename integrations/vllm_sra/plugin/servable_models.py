"""Checks which models and configurations vLLM can serve with reattention, and the heads that a worker holds."""

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
    """Return the heads of this worker; vLLM assigns consecutive heads to the ranks of tensor parallelism."""
    text = vllm_config.model_config.hf_text_config
    first = get_tensor_model_parallel_rank() * n_heads_here
    return HeadShare(text.num_hidden_layers, text.num_attention_heads, first, first + n_heads_here)


def refuse_speculation(vllm_config: VllmConfig) -> None:
    """Reject speculative decoding: vLLM then does not report the position of each request in the batch.

    Raises
    ------
    UnsupportedModelError
        When the engine starts.
    """
    if vllm_config.speculative_config is not None:
        raise UnsupportedModelError(
            "Speculative decoding is not supported with reattention. Serve without it, or without reattention "
            "(VLLM_PLUGINS without sra)."
        )


def refuse_uncompiled_stages(vllm_config: VllmConfig) -> None:
    """Reject pipeline parallelism on CPU if the model is not compiled.

    vLLM's first model runner, which reattention requires, allocates the buffers of later stages while it warms up a
    compiled model, and on CPU nowhere else. Without compilation the first request would end the engine.

    Raises
    ------
    UnsupportedModelError
        When the engine starts.
    """
    uncompiled = vllm_config.compilation_config.mode == CompilationMode.NONE
    if uncompiled and vllm_config.parallel_config.pipeline_parallel_size > 1:
        raise UnsupportedModelError(
            "Pipeline parallelism on CPU is not supported with reattention if the model is not compiled "
            "(--enforce-eager, LoRA). Remove these options, use --tensor-parallel-size instead, or serve without "
            "reattention (VLLM_PLUGINS without sra)."
        )


def refuse_configuration(vllm_config: VllmConfig) -> None:
    """Reject models and configurations in which rows, keys or requests are not where reattention expects them.

    Raises
    ------
    UnsupportedModelError
        When the engine starts; names the unsupported features.
    """
    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    reasons = {
        "its attention is latent (MLA)": model.use_mla,
        "its attention is local to chunks (attention_chunk_size)": model.attention_chunk_size is not None,
        "the tokens of an image or prefix attend to each other (prefix LM)": model.is_mm_prefix_lm,
        "it attends to the prompt and a window (R-SWA)": model.rswa_window is not None,
        "rows attend to later keys (use_non_causal)": vllm_config.attention_config.use_non_causal,
        "batches are split in two (--enable-dbo)": parallel.use_ubatching,
        "keys are split across workers (context parallelism)": max(
            parallel.decode_context_parallel_size, parallel.prefill_context_parallel_size
        ) > 1,
        "rows are skipped (--kv-sharing-fast-prefill)": vllm_config.cache_config.kv_sharing_fast_prefill,
        "vLLM uses its second model runner, which does not report the position of each request in the batch": (
            vllm_config.use_v2_model_runner
        ),
    }  # fmt: skip
    unsupported = [reason for reason, applies in reasons.items() if applies]
    if unsupported:
        raise UnsupportedModelError(
            f"This model cannot be served with reattention in this configuration: {'; '.join(unsupported)}. Change the "
            "named options, or serve it without reattention (VLLM_PLUGINS without sra)."
        )


def layer_index(layer: Any) -> int:
    """Return the index of an attention layer in the whole model."""
    return extract_layer_index(layer.layer_name)


def refuse_unservable(
    *, soft_cap: float | None, alibi: bool, sinks: bool, kv_cache_dtype: str, chunked: bool = False
) -> None:
    """Reject kinds of attention that sharpening would not compute correctly.

    Raises
    ------
    UnsupportedModelError
        When the model is loaded; names the unsupported features.
    """
    reasons = {
        "its scores are soft-capped": bool(soft_cap),
        "a position bias is added to its scores (ALiBi)": alibi,
        "its attention has sinks, which take part in the softmax": sinks,
        "its attention is local to chunks": chunked,
        f"its key/value cache is quantized ({kv_cache_dtype})": is_quantized_kv_cache(kv_cache_dtype),
    }
    unsupported = [reason for reason, applies in reasons.items() if applies]
    if unsupported:
        raise UnsupportedModelError(
            f"This model cannot be served with reattention: {'; '.join(unsupported)}. Serve it without reattention "
            "(VLLM_PLUGINS without sra), or with transformers (sra-rag serve), which also supports soft-capped scores."
        )
