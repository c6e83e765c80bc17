"""Addresses of servers with an OpenAI-compatible API."""

from __future__ import annotations

from urllib.parse import urlsplit

from sra_rag.errors import ConfigError

__all__ = ["base_url", "root_url"]


def base_url(address: str) -> str:
    """Return the ``base_url`` for OpenAI's client: ``/v1`` is added if the address has no path.

    Raises
    ------
    ConfigError
        If the address is not valid, or contains a password or another part that must not appear in logs or results.
    """
    parts = urlsplit(address.strip())
    try:
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"{address!r} is not a valid server address. Give one such as http://localhost:8000/v1.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        # The message does not repeat the address, as it may contain a secret.
        raise ConfigError(
            f"The address of {parts.hostname} has more than a host, a port and a path. Remove user, password, ? and #. "
            "Pass a key with its own option or environment variable."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def root_url(base: str) -> str:
    """Return the root URL of the server, for routes outside OpenAI's API."""
    return base.removesuffix("/v1")
