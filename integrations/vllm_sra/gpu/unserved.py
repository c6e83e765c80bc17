"""vLLM's backends that reattention was not added to: never chosen where the plugin is on, and refused by name.

Each attribute of this module is one of vLLM's backends, by its name in `AttentionBackendEnum`, that says of every
configuration that it is not valid. So vLLM goes on to the next of its choice, FlashAttention or Triton, and a request
is never served as if it had asked for nothing.
"""

from __future__ import annotations

from typing import Any

from vllm.utils.import_utils import resolve_obj_by_qualname
from vllm.v1.attention.backends.registry import AttentionBackendEnum

__all__ = ["REASON", "unserved_names"]

REASON = (
    "it is not served with reattention; choose --attention-backend FLASH_ATTN or TRITON_ATTN, or serve without "
    "reattention (VLLM_PLUGINS without sra)"
)

_NO_CLASS = ("TORCH_SDPA", "NO_ATTENTION", "CUSTOM")
_MADE: dict[str, type] = {}


def unserved_names(served: set[str]) -> list[str]:
    """Return the names of the backends that are not `served`."""
    return [
        name for name in AttentionBackendEnum.__members__
        if name not in served and name not in _NO_CLASS and not name.startswith("CPU_")
    ]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Made when it is asked for: most of these can be imported only on the devices that they are for.
    if name.startswith("_") or name not in AttentionBackendEnum.__members__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _MADE:
        plain = resolve_obj_by_qualname(AttentionBackendEnum[name].value)

        def validate_configuration(cls: type, *_: Any, **__: Any) -> list[str]:
            return [REASON]

        _MADE[name] = type(
            plain.__name__,
            (plain,),
            {
                "__doc__": f"{plain.__name__}, not served with reattention.",
                "__module__": __name__,
                "__qualname__": name,
                "validate_configuration": classmethod(validate_configuration),
            },
        )
    return _MADE[name]
