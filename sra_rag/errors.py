"""Every error that a user of sra-rag can meet.

Each also inherits the built-in class that a caller would expect, so ``except ValueError`` goes on
working. A message says what came, what is allowed and what to do next.
"""

from __future__ import annotations

import importlib.util

__all__ = [
    "ConfigError",
    "ContextOverflowError",
    "GenerationTimeoutError",
    "MissingExtraError",
    "ModelLoadError",
    "OutOfMemoryError",
    "PromptError",
    "SRAError",
    "UnsupportedModelError",
    "first_line",
    "require_extra",
]


class SRAError(Exception):
    """Root of all errors raised by sra-rag."""


class ConfigError(SRAError, ValueError):
    """A setting is not allowed, or does not fit the model it is used with."""


class UnsupportedModelError(SRAError, ValueError):
    """The model's attention cannot be sharpened correctly."""


class ModelLoadError(SRAError, OSError):
    """A model or tokenizer could not be found or read."""


class PromptError(SRAError, ValueError):
    """A prompt cannot be turned into tokens faithfully."""


class ContextOverflowError(SRAError, ValueError):
    """The prompt and the answer do not fit the model's window; nothing is cut silently.

    Attributes
    ----------
    prompt_tokens
        Tokens in the prompt.
    max_new_tokens
        Tokens asked for.
    context_window
        Tokens the model can hold, prompt and answer together.
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
    """The device has too little memory for a request; others, and smaller ones, go on working."""


class MissingExtraError(SRAError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, part: str, extra: str, missing: str) -> None:
        super().__init__(
            f"{part} needs the package {missing!r}, which is not installed. "
            f"Install it with:  pip install 'sra-rag[{extra}]'",
            name=missing,
        )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without a final period, for use within a message of ours.

    Parameters
    ----------
    error
        An error, of any library. If its message is empty, the name of its class is returned.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")


def require_extra(part: str, extra: str, *modules: str) -> None:
    """Raise `MissingExtraError` if a module that an extra brings is absent.

    Nothing is imported: only the import system is asked whether it could.

    Parameters
    ----------
    part
        What the user wanted, as named in the message.
    extra
        The extra of the distribution that brings the modules.
    modules
        Top-level or dotted module names.

    Raises
    ------
    MissingExtraError
        Naming the ``pip install`` command.
    """
    for module in modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            raise MissingExtraError(part, extra, module)
