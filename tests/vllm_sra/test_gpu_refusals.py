"""On GPUs, unsupported configurations are rejected by name, and vLLM selects a backend with reattention."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")
pytest.importorskip("triton", reason="needs Triton")

from vllm.exceptions import VLLMValidationError
from vllm.model_executor.layers.quantization.utils.quant_utils import kFp8StaticTensorSym
from vllm.platforms.interface import DeviceCapability
from vllm.v1.attention.backend import AttentionType
from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend
from vllm.v1.attention.backends.triton_attn import TritonAttentionImpl
from vllm.v1.attention.selector import AttentionSelectorConfig
from vllm.v1.kv_cache_interface import (
    CrossAttentionSpec,
    EncoderOnlyAttentionSpec,
    FullAttentionSpec,
    MLAAttentionSpec,
    SlidingWindowSpec,
)
from vllm_sra.gpu import paged_backend, unserved
from vllm_sra.gpu.flash_attn import SRAFlashAttentionImpl
from vllm_sra.gpu.triton_attn import SRATritonAttentionImpl
from vllm_sra.plugin import fitting
from vllm_sra.plugin import registration as plugin
from vllm_sra.plugin import request_table as requests
from vllm_sra.plugin.request_table import SRALogitsProcessor
from vllm_sra.plugin.servable_models import refuse_configuration

from sra_rag.errors import ConfigError, UnsupportedModelError
from sra_rag.policies import POLICIES, EntropyPolicy

FLASH, TRITON = "vllm_sra.gpu.flash_attn.SRAFlashAttentionBackend", "vllm_sra.gpu.triton_attn.SRATritonAttentionBackend"
PLAIN = {
    "model_config": {"use_mla": False, "attention_chunk_size": None, "is_mm_prefix_lm": False, "rswa_window": None},
    "parallel_config": {
        "use_ubatching": False, "decode_context_parallel_size": 1, "prefill_context_parallel_size": 1,
    },
    "attention_config": {"use_non_causal": False},
    "cache_config": {"kv_sharing_fast_prefill": False},
}  # fmt: skip


class Configuration(SimpleNamespace):
    """A configuration that supports weak references, like that of vLLM."""


def configuration(part=None, changed=None, second_runner=False):
    parts = {name: SimpleNamespace(**values | (changed if name == part else {})) for name, values in PLAIN.items()}
    return Configuration(**parts, use_v2_model_runner=second_runner, speculative_config=None)


@pytest.mark.parametrize(
    ("part", "changed", "message"),
    [
        ("model_config", {"use_mla": True}, "MLA"),
        ("model_config", {"attention_chunk_size": 8192}, "chunks"),
        ("model_config", {"is_mm_prefix_lm": True}, "prefix LM"),
        ("model_config", {"rswa_window": 128}, "R-SWA"),
        ("parallel_config", {"use_ubatching": True}, "--enable-dbo"),
        ("parallel_config", {"decode_context_parallel_size": 2}, "context parallelism"),
        ("parallel_config", {"prefill_context_parallel_size": 2}, "context parallelism"),
        ("attention_config", {"use_non_causal": True}, "use_non_causal"),
        ("cache_config", {"kv_sharing_fast_prefill": True}, "--kv-sharing-fast-prefill"),
    ],
)
def test_unsupported_configurations_are_rejected(monkeypatch, part, changed, message):
    refuse_configuration(configuration())
    monkeypatch.setattr(requests, "blocks_are_salted", lambda: False)
    SRALogitsProcessor(configuration(part, changed))  # vLLM creates it even without the plugin
    monkeypatch.setattr(requests, "blocks_are_salted", lambda: True)
    with pytest.raises(UnsupportedModelError, match=message):
        SRALogitsProcessor(configuration(part, changed))  # created in each worker before the model is loaded


def test_the_second_model_runner_is_rejected():
    with pytest.raises(UnsupportedModelError, match="second model runner"):
        refuse_configuration(configuration(second_runner=True))


def test_the_configuration_of_vllm_still_has_the_checked_fields():
    from vllm.config import AttentionConfig, CacheConfig, ModelConfig, ParallelConfig, VllmConfig

    for part, kind in zip(PLAIN, (ModelConfig, ParallelConfig, AttentionConfig, CacheConfig), strict=True):
        known = {*dir(kind), *kind.__dataclass_fields__}
        given = set(PLAIN[part]) - {"attention_chunk_size"}  # set in __post_init__
        assert given <= known, part
    assert hasattr(VllmConfig, "use_v2_model_runner")


def cuda_platform():
    # The CPU build of vLLM lacks the kernels that its CUDA module imports. They are not needed to select a backend.
    kernels = "vllm._C_stable_libtorch"
    missing = kernels not in sys.modules
    sys.modules.setdefault(kernels, ModuleType(kernels))
    try:
        from vllm.platforms.cuda import CudaPlatformBase
    finally:
        if missing:
            del sys.modules[kernels]
    return CudaPlatformBase


@pytest.fixture
def on_cuda():
    """Register the backends as on CUDA, and undo it afterwards."""

    class Platform(cuda_platform()):
        capability = DeviceCapability(9, 0)

        @classmethod
        def get_device_capability(cls, device_id=0):
            return cls.capability

    before = {name: backend.get_path() for name, backend in registered_backends().items()}
    for name, path in plugin._backends(Platform()).items():
        register_backend(AttentionBackendEnum[name], path)
    yield Platform
    for backend in AttentionBackendEnum:
        backend.clear_override()
    for name, path in before.items():
        register_backend(AttentionBackendEnum[name], path)


def registered_backends():
    return {backend.name: backend for backend in AttentionBackendEnum if backend.is_overridden()}


def selector_config(**options):
    defaults = {"head_size": 128, "dtype": torch.bfloat16, "kv_cache_dtype": "auto", "block_size": None}
    return AttentionSelectorConfig(**defaults | options)


@pytest.mark.parametrize(
    ("capability", "options", "backend"),
    [
        ((9, 0), {}, FLASH),
        ((10, 0), {}, FLASH),  # vLLM alone would select FlashInfer
        ((8, 0), {"has_sliding_window": True}, FLASH),
        ((9, 0), {"dtype": torch.float32}, TRITON),
        ((7, 5), {"dtype": torch.float16}, TRITON),
    ],
)
def test_vllm_selects_a_backend_with_reattention(on_cuda, capability, options, backend):
    on_cuda.capability = DeviceCapability(*capability)
    assert on_cuda.get_attn_backend_cls(None, selector_config(**options)) == backend


@pytest.mark.parametrize("name", ["FLEX_ATTENTION", "TURBOQUANT"])
def test_another_backend_is_rejected_by_name(on_cuda, name):
    with pytest.raises(ValueError, match=f"{name}.*not supported with reattention"):
        on_cuda.get_attn_backend_cls(AttentionBackendEnum[name], selector_config())


def test_no_backend_with_latent_attention_is_available(on_cuda):
    with pytest.raises(ValueError, match="TRITON_MLA: .*not supported with reattention"):
        on_cuda.get_attn_backend_cls(None, selector_config(use_mla=True, head_size=576))


def test_the_registered_backends_of_each_platform():
    cuda, rocm = (
        SimpleNamespace(is_cpu=lambda: False, is_cuda=lambda c=c: c, is_cuda_alike=lambda: True) for c in (True, False)
    )
    assert plugin._backends(cuda)["FLASH_ATTN"] == FLASH
    assert plugin._backends(cuda)["TRITON_ATTN"] == plugin._backends(rocm)["TRITON_ATTN"] == TRITON
    assert plugin._backends(rocm)["ROCM_ATTN"] == "vllm_sra.gpu.unserved.ROCM_ATTN"
    assert "CPU_ATTN" not in plugin._backends(cuda)
    assert "CUSTOM" not in plugin._backends(cuda)
    with pytest.raises(AttributeError):
        unserved.NO_SUCH_BACKEND  # noqa: B018


def test_a_request_on_an_unsupported_device_is_rejected(monkeypatch):
    other = SimpleNamespace(is_cpu=lambda: False, is_cuda_alike=lambda: False, device_name="tpu")
    monkeypatch.setattr(requests, "current_platform", other)
    monkeypatch.setattr(requests, "blocks_are_salted", lambda: False)  # as if the plugin had not been called
    SRALogitsProcessor.validate_params(SimpleNamespace(extra_args=None))
    with pytest.raises(ConfigError, match="runs on tpu"):
        SRALogitsProcessor.validate_params(SimpleNamespace(extra_args={"sra": 0.2}))


def test_a_policy_that_the_kernel_does_not_support_is_rejected_per_request(monkeypatch):
    class Curved(EntropyPolicy):
        def curve(self, ratio):
            return ratio**2

    monkeypatch.setitem(POLICIES, "curved", Curved())
    given = SimpleNamespace(extra_args={"sra": "alpha=0.123,policy=curved"})

    def ask():
        fitting._fit.cache_clear()
        fitting._check(lambda _: None, engine_config(), given)

    ask()  # CPUs support any curve
    monkeypatch.setattr(fitting, "current_platform", SimpleNamespace(is_cpu=lambda: False))
    with pytest.raises(VLLMValidationError, match="not linear in the entropy"):
        ask()
    fitting._fit.cache_clear()


def engine_config(**parallel):
    parallel = {"tensor_parallel_size": 1, "pipeline_parallel_size": 1} | parallel
    text = SimpleNamespace(num_hidden_layers=2, num_attention_heads=4)
    model = SimpleNamespace(hf_text_config=text, get_vocab_size=lambda: 8)
    return SimpleNamespace(model_config=model, parallel_config=SimpleNamespace(**parallel))


WEIGHED = {"sra": "evidence=4", "sra_evidence": [[2, 5, 4]], "sra_context_length": 9}
RETURNED = {"sra_return_evidence": {"spans": [[2, 5], [5, 6]]}, "sra_context_length": 9}


def test_evidence_is_rejected_per_request_where_it_is_not_supported(monkeypatch):
    def ask(extra, spans=2, **parallel):
        fitting._fit.cache_clear()
        params = SimpleNamespace(extra_args=extra, max_tokens=1, n=1, logprobs=spans)
        fitting._check(lambda _: None, engine_config(**parallel), params)

    ask(WEIGHED, tensor_parallel_size=2)
    ask(RETURNED)
    ask(RETURNED, tensor_parallel_size=2)
    with pytest.raises(VLLMValidationError, match="pipeline parallelism"):
        ask(RETURNED, pipeline_parallel_size=2)
    many = {"spans": [[n, n + 1] for n in range(8)]}
    with pytest.raises(VLLMValidationError, match="has not more tokens"):
        ask({**RETURNED, "sra_return_evidence": many}, spans=8)
    monkeypatch.setattr(fitting, "current_platform", SimpleNamespace(is_cpu=lambda: False))
    for extra in (WEIGHED, RETURNED):
        ask(extra)  # the same on a GPU
    wrong = {**WEIGHED, "sra": {"evidence": {"weight": 4, "heads": [[2, 0]]}}}
    with pytest.raises(VLLMValidationError, match="head 2.0"):
        ask(wrong)
    fitting._fit.cache_clear()


ATTENTION = {
    "num_heads": 4, "head_size": 64, "scale": 0.125, "num_kv_heads": 2, "alibi_slopes": None, "sliding_window": None,
    "kv_cache_dtype": "auto",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"logits_soft_cap": 50.0}, "soft-capped"),
        ({"alibi_slopes": [0.5] * 4}, "ALiBi"),
        ({"sinks": torch.zeros(4)}, "sinks"),
        ({"kv_cache_dtype": "int8_per_token_head"}, "quantized"),
        ({"chunk_lookback": 1, "sliding_window": 64}, "chunks"),
    ],
)
def test_unsupported_kinds_of_attention_are_rejected(changed, message):
    SRATritonAttentionImpl(**ATTENTION)
    SRATritonAttentionImpl(**ATTENTION | {"attn_type": AttentionType.ENCODER_ONLY, "logits_soft_cap": 50.0})
    with pytest.raises(UnsupportedModelError, match=message):
        SRATritonAttentionImpl(**ATTENTION | changed)
    if message in ("soft-capped", "ALiBi"):
        with pytest.raises(UnsupportedModelError, match=message):
            SRAFlashAttentionImpl(**ATTENTION | changed)


def test_outputs_are_not_quantized_before_they_are_weighed():
    assert TritonAttentionImpl(**ATTENTION).fused_output_quant_supported(kFp8StaticTensorSym)
    for kind in (SRATritonAttentionImpl, SRAFlashAttentionImpl):
        assert not kind(**ATTENTION).fused_output_quant_supported(kFp8StaticTensorSym)


SHAPE = {"block_size": 16, "num_kv_heads": 2, "head_size": 64}


def test_unsupported_kinds_of_cache_are_rejected():
    for spec in (
        FullAttentionSpec(**SHAPE, dtype=torch.bfloat16),
        SlidingWindowSpec(**SHAPE, dtype=torch.float16, sliding_window=64),
    ):
        paged_backend._refuse_cache(spec)
    for spec in (
        MLAAttentionSpec(**SHAPE, dtype=torch.bfloat16),
        FullAttentionSpec(**SHAPE, dtype=torch.uint8),
    ):
        with pytest.raises(UnsupportedModelError, match=f"{type(spec).__name__} and {spec.dtype}"):
            paged_backend._refuse_cache(spec)


@pytest.mark.parametrize("spec", [EncoderOnlyAttentionSpec, CrossAttentionSpec])
def test_encoder_layers_are_ignored(spec):
    spec = spec(**SHAPE, dtype=torch.bfloat16)
    finder = paged_backend.RowFinder(spec, ["encoder"], configuration(), torch.device("cpu"), 4)
    assert finder.find(None) is None


def test_layers_with_another_backend_are_rejected():
    own, other = SRATritonAttentionImpl(**ATTENTION), TritonAttentionImpl(**ATTENTION)
    encoder = TritonAttentionImpl(**ATTENTION | {"attn_type": AttentionType.ENCODER_ONLY})
    paged_backend._refuse_other_attention([SimpleNamespace(impl=own), SimpleNamespace(impl=encoder), SimpleNamespace()])
    with pytest.raises(UnsupportedModelError, match="use TritonAttentionImpl"):
        paged_backend._refuse_other_attention([SimpleNamespace(impl=own), SimpleNamespace(impl=other)])
