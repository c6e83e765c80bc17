"""Settings of the server."""

from __future__ import annotations

import dataclasses

from sra_pipelines.server.loopback import is_loopback
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError, require_above_zero

__all__ = ["ServerSettings"]

_LAST_PORT = 65_535


@dataclasses.dataclass(frozen=True, slots=True)
class ServerSettings:
    """Address, keys and limits of a server.

    Parameters
    ----------
    host, port
        Address to listen on.
    api_keys
        Keys of which each request must send one. They are optional on a loopback address.
    concurrency
        Number of answers that are generated concurrently.
    queue_length
        Maximum number of waiting requests; further requests are rejected with status 429.
    request_timeout
        Time limit per answer in seconds, including waiting.
    receive_timeout
        Maximum time in seconds between two parts of a request body, before the request is rejected.
    max_body_bytes, max_upload_bytes
        Maximum size in bytes of a request, and of a request that uploads a document.
    grace
        Seconds that running answers have to finish when the server is stopped.
    max_new_tokens
        Maximum number of tokens of an answer, also the default for requests that do not set it.
    sra
        Attention settings of API requests that do not set them; None is off.

    Raises
    ------
    ConfigError
        If a value is not allowed, or keys are missing although the server can be reached from other machines.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_keys: tuple[str, ...] = ()
    concurrency: int = 1
    queue_length: int = 32
    request_timeout: float = 300.0
    grace: float = 30.0
    receive_timeout: float = 30.0
    max_body_bytes: int = 1 << 20
    max_upload_bytes: int = 64 << 20
    max_new_tokens: int = 512
    sra: SRAConfig | None = None

    def __post_init__(self) -> None:
        require_above_zero(self, ("concurrency", "max_body_bytes", "max_upload_bytes", "max_new_tokens"))
        require_above_zero(self, ("request_timeout", "receive_timeout"))
        for name in ("queue_length", "grace"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}={getattr(self, name)!r} is not allowed: it must be at least 0.")
        if not 0 <= self.port <= _LAST_PORT:
            raise ConfigError(f"port={self.port} is not allowed: it must be from 0 to {_LAST_PORT}.")
        if any(len(key) < 16 for key in self.api_keys):
            raise ConfigError("An API key has fewer than 16 characters. Use a longer one (openssl rand -hex 32).")
        if not self.api_keys and not is_loopback(self.host):
            raise ConfigError(
                f"The address {self.host} can be reached from other machines, so API keys are required. Give "
                "--api-key (or SRA_RAG_API_KEYS), or listen on 127.0.0.1."
            )
