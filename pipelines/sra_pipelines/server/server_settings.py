"""What the server allows."""

from __future__ import annotations

import dataclasses
import ipaddress

from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError

__all__ = ["ServerSettings"]


@dataclasses.dataclass(frozen=True, slots=True)
class ServerSettings:
    """Limits and keys of one server.

    Parameters
    ----------
    host, port
        Where it listens.
    api_keys
        Of which each request must bring one; none are needed on a loopback address.
    concurrency
        Answers written at once.
    queue_length
        Requests that may wait beside those; more are refused with 429.
    request_timeout
        Seconds that an answer may take, waiting included.
    max_body_bytes, max_upload_bytes
        Of a request, and of one that uploads a document.
    grace
        Seconds that answers under way get when the server is told to stop.
    max_new_tokens
        Most tokens of an answer, and what a request gets that does not say.
    sra
        Settings of the attention for requests of the API that bring none; None is off.

    Raises
    ------
    ConfigError
        If a value is not allowed, or keys are missing where others can reach the server.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_keys: tuple[str, ...] = ()
    concurrency: int = 1
    queue_length: int = 32
    request_timeout: float = 300.0
    grace: float = 30.0
    max_body_bytes: int = 1 << 20
    max_upload_bytes: int = 64 << 20
    max_new_tokens: int = 512
    sra: SRAConfig | None = None

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_body_bytes", "max_upload_bytes", "max_new_tokens", "request_timeout"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}={getattr(self, name)!r} is not allowed: it must be above 0.")
        for name in ("queue_length", "grace"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}={getattr(self, name)!r} is not allowed: it must be at least 0.")
        if any(len(key) < 16 for key in self.api_keys):
            raise ConfigError("An API key has fewer than 16 characters. Use a longer one (openssl rand -hex 32).")
        if not self.api_keys and not _is_loopback(self.host):
            raise ConfigError(
                f"The address {self.host} can be reached by others, so API keys are required. Give --api-key (or "
                "SRA_RAG_API_KEYS), or listen on 127.0.0.1."
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
