"""How a metric moves with the strength, where several settings differ in nothing but their alpha."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from sra_evaluations.results.comparison import Comparison, Finding
from sra_rag.config import SRAConfig

__all__ = ["Strengths", "by_strength"]


@dataclasses.dataclass(frozen=True, slots=True)
class Strengths:
    """Settings that differ only in alpha: what they have in common, and (alpha, finding) by rising alpha."""

    label: str
    points: Sequence[tuple[float, Finding]]


def by_strength(comparison: Comparison, findings: Sequence[Finding]) -> list[Strengths]:
    """Arrange findings of one metric by alpha; only series of two settings and more, held against off."""
    if comparison.manifest["settings"][comparison.baseline] is not None:
        return []
    series: dict[str, list[tuple[float, Finding]]] = {}
    for finding in findings:
        sra = comparison.manifest["settings"][finding.setting]
        if sra is not None and "rival" not in sra and isinstance(sra["alpha"], int | float):
            rest = {name: value for name, value in sra.items() if name != "alpha"}
            series.setdefault(json.dumps(rest, sort_keys=True), []).append((float(sra["alpha"]), finding))
    return [
        Strengths(_label(json.loads(rest)), sorted(points, key=lambda point: point[0]))
        for rest, points in series.items()
        if len(points) > 1
    ]


def _label(sra: dict[str, object]) -> str:
    default = SRAConfig().to_dict()
    always = [f"policy {sra['policy']}", f"rows {sra['rows']}"]
    return ", ".join(
        always + [f"{name} {sra[name]}" for name in ("bounds", "layers", "heads") if sra[name] != default[name]]
    )
