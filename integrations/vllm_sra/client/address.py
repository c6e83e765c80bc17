"""Addresses of servers that speak OpenAI's API."""

from __future__ import annotations

from urllib.parse import urlsplit

from sra_rag.errors import ConfigError

__all__ = ["base_url", "root_url"]


def base_url(address: str) -> str:
    """Return what OpenAI's client calls ``base_url``: with ``/v1`` where no path is given.

    Raises
    ------
    ConfigError
        If it is no address, or holds a password or anything else that a log or a result must not.
    """
    parts = urlsplit(address.strip())
    try:
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"{address!r} is no address of a server. Give one such as http://localhost:8000/v1.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        # Not repeated here: it may be a secret.
        raise ConfigError(
            f"The address of {parts.hostname} has more to it than a host, a port and a path. Leave out user, password, "
            "? and #; a key has an option and an environment variable of its own."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def root_url(base: str) -> str:
    """Return where a server's routes outside of OpenAI's API begin."""
    return base.removesuffix("/v1")
