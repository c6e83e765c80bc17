"""Options that choose where the model runs: in this process, on a new vLLM server, or on a running server."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from sra_pipelines.commands.progress_bar import Start
from sra_rag.errors import ConfigError, require_extra
from sra_rag.generation.sampling import SamplingOptions
from sra_rag.models.embedded import EMBEDDED_NAME

if TYPE_CHECKING:
    from vllm_sra.client.served_engine import ServedEngine

    from sra_rag.generation.engine import Engine

__all__ = ["HERE", "OWN_VLLM", "SERVED_AT_ONCE", "EngineChoice", "open_engine"]

HERE, OWN_VLLM = "here", "vllm"
SERVED_AT_ONCE = 16  # concurrent requests to a server, which batches them


@dataclasses.dataclass(frozen=True, slots=True)
class EngineChoice:
    """The options of a command that choose the model and where it runs.

    Parameters
    ----------
    where
        ``"here"``, ``"vllm"`` or the address of a server.
    model
        Name of the model; None for the default of `where`.
    key
        API key of the server; not included in the ``repr``.
    tokenizer, window
        Tokenizer and context window (in tokens) of a model on a server.
    dtype
        Data type of a model that is loaded in this process or on a new vLLM server.

    Raises
    ------
    ConfigError
        If an option is invalid, or does not apply to `where`.
    MissingExtraError
        If a package that `where` requires is not installed.
    """

    where: str = HERE
    model: str | None = None
    key: str | None = dataclasses.field(default=None, repr=False)
    tokenizer: str | None = None
    window: int | None = None
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if self.where == HERE:
            self._refuse(
                "a model in this process provides it", {"--tokenizer": self.tokenizer, "--window": self.window}
            )
            return
        require_extra(f"--engine {self.where}", "openai", "openai")
        if self.where == OWN_VLLM:
            require_extra("--engine vllm", "vllm", "vllm")
            self._refuse("vLLM uses the tokenizer of the model", {"--tokenizer": self.tokenizer})
            if (self.model or "").endswith(".gguf"):
                raise ConfigError(
                    f"--model {self.model}: vLLM does not read .gguf files. Give a folder or a name on the hub."
                )
            return
        if "://" not in self.where:
            raise ConfigError(
                f"--engine {self.where!r} is not allowed. Give here, vllm, or the address of a server such as "
                "http://localhost:8000/v1."
            )
        from vllm_sra.client.address import base_url

        base_url(self.where)
        if self.dtype != "auto":
            raise ConfigError(f"--dtype {self.dtype}: the model on {self.where} is already loaded. Omit this option.")

    @property
    def title(self) -> str:
        """Display name of the model."""
        return self.model or (f"the model on {self.where}" if "://" in self.where else EMBEDDED_NAME)

    def _refuse(self, reason: str, options: Mapping[str, object]) -> None:
        for name, value in options.items():
            if value is not None:
                raise ConfigError(f"{name} cannot be used with --engine {self.where}: {reason}. Omit this option.")


@contextmanager
def open_engine(
    choice: EngineChoice,
    *,
    options: SamplingOptions | None = None,
    start: Start,
    on_end: Callable[[], None] | None = None,
) -> Iterator[Engine | ServedEngine]:
    """Load the model or connect to it. A vLLM server that was started for it is stopped on exit.

    Parameters
    ----------
    choice
        The model and where it runs.
    options
        Default sampling options.
    start
        Function that starts a progress bar, from `progress_bars`.
    on_end
        Called from another thread if the vLLM server that was started for the model exits unexpectedly.

    Raises
    ------
    ConfigError, ModelLoadError
        If the model does not exist.
    VLLMServerError
        If the server cannot be reached, or exits unexpectedly.
    """
    if choice.where == HERE:
        model = choice.model or EMBEDDED_NAME
        from sra_rag.generation.engine import Engine
        from sra_rag.models.loading import load_model
        from sra_rag.models.sources import describe_loading

        start(describe_loading(model))

        yield Engine(load_model(model, dtype=choice.dtype), options=options)
        return
    from vllm_sra.client.own_server import own_server
    from vllm_sra.client.served_engine import ServedEngine

    with ExitStack() as stack:
        if choice.where == OWN_VLLM:
            model = choice.model or EMBEDDED_NAME
            arguments = ["--dtype", choice.dtype]
            if choice.window is not None:
                arguments += ["--max-model-len", str(choice.window)]
            server = stack.enter_context(
                own_server(model, arguments=arguments, on_progress=start(f"starting vLLM with {model}, seconds"))
            )
            if on_end is not None:
                server.on_end(on_end)
            engine = ServedEngine.at(
                server.address, model=model, tokenizer=model, api_key=server.api_key, options=options,
                in_flight=SERVED_AT_ONCE, where=OWN_VLLM,
            )  # fmt: skip
        else:
            start(f"connecting to {choice.where}")
            engine = ServedEngine.at(
                choice.where,
                model=choice.model,
                tokenizer=choice.tokenizer,
                api_key=choice.key,
                context_window=choice.window,
                options=options,
                in_flight=SERVED_AT_ONCE,
            )
        stack.enter_context(engine)
        yield engine
