"""``/v1/models``: the names that a request may use as ``model``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from sra_pipelines.server.api.completions import Completions

__all__ = ["router"]

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request) -> dict[str, Any]:
    """List the models."""
    completions: Completions = request.app.state.completions
    return {"object": "list", "data": [_described(name, completions) for name in completions.models]}


@router.get("/v1/models/{name:path}")  # names on the hub contain slashes
async def get_model(name: str, request: Request) -> dict[str, Any]:
    """Describe one model; list them all for an address that ends with a slash."""
    if not name:
        return await list_models(request)
    completions: Completions = request.app.state.completions
    completions.require_model(name)
    return _described(name, completions)


def _described(name: str, completions: Completions) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": completions.created, "owned_by": "sra-rag"}
