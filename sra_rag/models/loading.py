"""Load a causal language model with sra-rag's attention, from any source."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import torch

from sra_rag.attention.reattend import enable, make_session
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError, ModelLoadError, first_line, require_extra
from sra_rag.models.embedded import EMBEDDED_NAME
from sra_rag.models.integrity import require_all_weights, require_sane_config
from sra_rag.models.sources import model_source

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LoadedModel", "cpu_multiplies_bfloat16", "load_model", "load_tokenizer"]

Quantization = Literal["4bit", "8bit"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Options that say which files are read, and whether their code may run.
_WHERE = ("revision", "trust_remote_code", "subfolder", "cache_dir", "token", "local_files_only", "force_download")

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready for sharpened attention, with its tokenizer.

    Parameters
    ----------
    model
        A causal language model of transformers, set to sra-rag's attention.
    tokenizer
        Its tokenizer.
    name
        What was asked for: ``"embedded"``, a name from ``sra-rag models``, a hub name or a path.
    sra
        Settings of every request without settings; None is off.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    sra: SRAConfig | None = None

    def __post_init__(self) -> None:
        enable(self.model)
        if self.sra is not None:
            # Settings that do not fit the model are better refused now than at the first question.
            make_session(self.model, self.sra, context_length=0, prompt_length=0)

    @property
    def context_window(self) -> int:
        """Tokens that prompt and answer may take together."""
        text = self.model.config.get_text_config(decoder=True)
        limits = [getattr(text, "max_position_embeddings", None)]
        if self.tokenizer.model_max_length < 1 << 30:  # transformers writes a huge number for "unknown"
            limits.append(self.tokenizer.model_max_length)
        return min(int(limit) for limit in limits if limit) if any(limits) else 2048

    @property
    def device(self) -> torch.device:
        """Where the inputs go."""
        return self.model.device


def load_model(
    name: str | PathLike[str] = EMBEDDED_NAME,
    *,
    dtype: str | torch.dtype = "auto",
    device_map: str | Mapping[str, Any] | None = "auto",
    quantization: Quantization | None = None,
    sra: SRALike = None,
    tokenizer: str | PathLike[str] | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    model_kwargs: Mapping[str, Any] | None = None,
    tokenizer_kwargs: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Load a causal language model and its tokenizer.

    Parameters
    ----------
    name
        ``"embedded"`` (SmolLM2-135M-Instruct, works offline), a name from ``sra-rag models``, a name on the Hugging
        Face hub, a local folder or a ``.gguf`` file, which is unpacked into the cache on first use. Weights are read
        from safetensors (or GGUF) only, never from a pickle.
    dtype
        ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"auto"``: the checkpoint's own on a GPU, and on CPU
        whichever of float32 and bfloat16 this processor computes faster.
    device_map
        As in accelerate: ``"auto"`` spreads the model over the GPUs and offloads to CPU memory what does not fit.
    quantization
        ``"4bit"`` or ``"8bit"`` with bitsandbytes, needs ``pip install 'sra-rag[quantization]'``.
    sra
        Settings of every request without settings, as for `SRAConfig.coerce`; None for off.
    tokenizer
        Name or folder of the tokenizer, where it is not the model's.
    revision
        Branch, tag or commit on the hub.
    trust_remote_code
        Whether code that is part of the model may run.
    model_kwargs, tokenizer_kwargs
        Passed on to transformers' ``from_pretrained``.

    Raises
    ------
    ModelLoadError
        If there is no such model, or it cannot be read.
    ConfigError
        If a setting is not allowed or does not fit the model.
    UnsupportedModelError
        If the model's attention cannot be sharpened.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = SRAConfig.coerce(sra)
    options = _model_options(dtype, device_map, quantization)
    code_options = {"revision": revision, "trust_remote_code": trust_remote_code}
    options |= code_options | dict(model_kwargs or {})
    source = model_source(name)
    tokenizer_options = code_options | dict(tokenizer_kwargs or {})
    try:
        if tokenizer is not None:  # read first, so that a wrong name is reported before a large model is read
            loaded_tokenizer = load_tokenizer(tokenizer, tokenizer_kwargs=tokenizer_options)
        require_sane_config(_config_of(source, options), str(name))
        model, info = AutoModelForCausalLM.from_pretrained(
            source, use_safetensors=True, output_loading_info=True, **options
        )
        require_all_weights(model, info, str(name))
        if tokenizer is None:
            loaded_tokenizer = AutoTokenizer.from_pretrained(source, **tokenizer_options)
    except (ModelLoadError, ImportError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers raises whatever a damaged or manipulated folder leads to
        raise ModelLoadError(
            f"The model {str(name)!r} could not be loaded: {_reason(error)}. Give 'embedded', a name from "
            "'sra-rag models', a name on the hub (online, or already in the local cache), a folder with config.json "
            "and safetensors, or a .gguf file."
        ) from error
    model.eval()
    return LoadedModel(model, loaded_tokenizer, str(name), config)


def load_tokenizer(
    name: str | PathLike[str], *, tokenizer_kwargs: Mapping[str, Any] | None = None
) -> PreTrainedTokenizerBase:
    """Load a tokenizer alone, for a model that runs elsewhere or has no tokenizer of its own.

    Parameters
    ----------
    name
        ``"embedded"``, a name from ``sra-rag models``, a name on the Hugging Face hub, a local folder or a ``.gguf``
        file.
    tokenizer_kwargs
        Passed on to transformers' ``from_pretrained``.

    Raises
    ------
    ModelLoadError
        If there is no such tokenizer, or it cannot be read.
    """
    from transformers import AutoTokenizer

    source = model_source(name)
    try:
        return AutoTokenizer.from_pretrained(source, **(tokenizer_kwargs or {}))
    except ImportError:
        raise
    except Exception as error:  # as in `load_model`
        raise ModelLoadError(
            f"The tokenizer of {str(name)!r} could not be loaded: {first_line(error)}. Give 'embedded', a name on "
            "the hub (online, or already in the local cache) or a folder with tokenizer.json."
        ) from error


def _reason(error: Exception) -> str:
    if "ignore_mismatched_sizes" in str(error):  # the shapes are in transformers' log only
        return "the shapes of its weights do not fit its config.json"
    return first_line(error)


def _config_of(source: str | PathLike[str], options: Mapping[str, Any]) -> PreTrainedConfig:
    """Return the configuration that the model will have."""
    from transformers import AutoConfig, PreTrainedConfig

    if isinstance(given := options.get("config"), PreTrainedConfig):
        return given
    where = {key: options[key] for key in _WHERE if key in options}
    config: PreTrainedConfig = AutoConfig.from_pretrained(source, **where)
    return config


def _model_options(
    dtype: str | torch.dtype, device_map: str | Mapping[str, Any] | None, quantization: Quantization | None
) -> dict[str, Any]:
    on_gpu = torch.accelerator.is_available()
    options: dict[str, Any] = {"dtype": _dtype(dtype, on_gpu)}
    if device_map != "auto" or on_gpu:
        options["device_map"] = device_map
    if quantization is None:
        return options
    if quantization not in ("4bit", "8bit"):
        raise ConfigError(f'quantization={quantization!r} is not allowed. Use "4bit", "8bit" or None.')
    require_extra(f"{quantization} quantization", "quantization", "bitsandbytes")
    from transformers import BitsAndBytesConfig

    compute = torch.bfloat16 if options["dtype"] == "auto" else options["dtype"]
    options["quantization_config"] = (
        BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)
        if quantization == "4bit"
        else BitsAndBytesConfig(load_in_8bit=True)
    )
    return options


def _dtype(dtype: str | torch.dtype, on_gpu: bool) -> str | torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype in _DTYPES:
        return _DTYPES[dtype]
    if dtype != "auto":
        raise ConfigError(f"dtype={dtype!r} is not allowed. Use one of: auto, {', '.join(_DTYPES)}.")
    if on_gpu:
        return "auto"
    return torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16 products; else they are far slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
