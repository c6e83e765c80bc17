"""The exceptions that sra-rag raises.

Each also inherits from the corresponding built-in exception, so ``except ValueError`` works. A message states the given
value, the allowed values and the next step.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "ContextOverflowError",
    "GenerationTimeoutError",
    "JSONSchemaError",
    "MissingExtraError",
    "ModelLoadError",
    "OutOfMemoryError",
    "PromptError",
    "SRAError",
    "UnsupportedModelError",
    "first_line",
    "require_above_zero",
    "require_extra",
]


class SRAError(Exception):
    """Root of all errors raised by sra-rag."""


class ConfigError(SRAError, ValueError):
    """A setting is not allowed, or is not compatible with the model."""


class JSONSchemaError(ConfigError):
    """The JSON schema of an answer is not one, is too large, or cannot be followed."""


class UnsupportedModelError(SRAError, ValueError):
    """The model's attention cannot be sharpened correctly."""


class ModelLoadError(SRAError, OSError):
    """A model or tokenizer could not be installed or read."""


class PromptError(SRAError, ValueError):
    """A prompt cannot be turned into tokens faithfully."""


class ContextOverflowError(SRAError, ValueError):
    """The prompt and the answer exceed the context window; nothing is truncated silently.

    Attributes
    ----------
    prompt_tokens
        Number of tokens of the prompt.
    max_new_tokens
        Number of requested new tokens.
    context_window
        Maximum number of tokens of prompt and answer together.
    """

    def __init__(self, prompt_tokens: int, max_new_tokens: int, context_window: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.max_new_tokens = max_new_tokens
        self.context_window = context_window
        super().__init__(
            f"The prompt has {prompt_tokens} tokens and up to {max_new_tokens} are to be generated, but the model's "
            f"window holds {context_window}. Give fewer or shorter passages, lower max_new_tokens, or use a model "
            "with a larger window."
        )

    def __reduce__(self) -> tuple[type[ContextOverflowError], tuple[int, int, int]]:
        return type(self), (self.prompt_tokens, self.max_new_tokens, self.context_window)


class GenerationTimeoutError(SRAError, TimeoutError):
    """An answer took longer than its ``timeout``."""


class OutOfMemoryError(SRAError, MemoryError):
    """The device has too little memory for a request. Other and smaller requests still work."""


class MissingExtraError(SRAError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, part: str, extra: str, missing: str) -> None:
        super().__init__(
            f"{part} needs the package {missing!r}, which is not installed. "
            f"Install it with:  pip install 'sra-rag[{extra}]'",
            name=missing,
        )


def first_line(error: BaseException) -> str:
    """Return the first line of an error message, without a final period, for use within another message.

    Parameters
    ----------
    error
        An exception of any library. If its message is empty, the name of its class is returned.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")


def require_above_zero(settings: object, names: Iterable[str]) -> None:
    """Raise `ConfigError` if one of the named attributes is not above 0; NaN is not."""
    for name in names:
        if not getattr(settings, name) > 0:
            raise ConfigError(f"{name}={getattr(settings, name)!r} is not allowed: it must be above 0.")


def require_extra(part: str, extra: str, *modules: str) -> None:
    """Raise `MissingExtraError` if a module of an extra is not installed.

    The modules are located, but not imported.

    Parameters
    ----------
    part
        Name of the feature in the message.
    extra
        Name of the extra that installs the modules.
    modules
        Top-level or dotted module names.

    Raises
    ------
    MissingExtraError
        With the ``pip install`` command.
    """
    for module in modules:
        try:
            installed = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            installed = False
        if not installed:
            raise MissingExtraError(part, extra, module)
