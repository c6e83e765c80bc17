"""A profile: the setting that calibration chose, with the evidence; a JSON file that ``sra=`` takes everywhere."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sra_evaluations.results.comparison import Comparison, Finding
from sra_evaluations.results.records import write_whole
from sra_evaluations.results.statistics import PairedDifference
from sra_rag.config import SRAConfig

__all__ = ["Profile", "make_profile"]

_JUDGES = {"answers": "right", "likelihood": "gold_nats"}


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """What calibration found.

    Parameters
    ----------
    sra
        The setting; alpha 0 where nothing was found better than off.
    chosen
        Its name among the candidates, ``"off"`` for none.
    reason
        Why, in words.
    evidence
        Every finalist against off, on questions that the search did not see, and its harm; the search; model, versions,
        machine and options. JSON-ready.
    """

    sra: SRAConfig
    chosen: str
    reason: str
    evidence: Mapping[str, Any]

    def to_json(self, path: Path | str) -> None:
        """Write the profile, whole or not at all; `SRAConfig.from_json` reads its setting."""
        values = {"sra": self.sra.to_dict(), "chosen": self.chosen, "reason": self.reason, "evidence": self.evidence}
        write_whole(Path(path), json.dumps(values, indent=2) + "\n")


def make_profile(
    found: Comparison,
    finalists: Mapping[str, SRAConfig],
    harm: Mapping[str, Mapping[str, PairedDifference]],
    *,
    judged_by: Literal["answers", "likelihood"],
    options: Mapping[str, Any],
) -> Profile:
    """Choose among finalists: the one that helps most, significantly, and hurts nowhere, else off.

    Parameters
    ----------
    found
        What was measured; the task ``confirmation`` decides.
    finalists
        Candidates that are within the bound on harm.
    harm
        Of each finalist, by kind of text.
    judged_by
        Generated answers or the likelihood of right ones.
    options
        Of the calibration, for the record.
    """
    metric = _JUDGES[judged_by]
    measured = "confirmation" in found.tasks and metric in found.metrics("confirmation")
    findings = {
        name: {f.setting: f for f in found.findings("confirmation", name) if f.setting in finalists}
        for name in _JUDGES.values()
        if measured and name in found.metrics("confirmation")
    }
    judged = findings.get(metric, {})
    sign = -1 if metric == "gold_nats" else 1
    helping = [
        name
        for name, finding in judged.items()
        if finding.verdict == "helps" and all(f[name].verdict != "hurts" for f in findings.values() if name in f)
    ]
    chosen = max(helping, key=lambda name: sign * judged[name].difference.difference, default=None)
    if chosen is not None:
        reason = f"{chosen}: better than off beyond chance on questions that the search did not see."
    elif judged:
        reason = "No setting was better than off beyond chance on questions that the search did not see."
    elif finalists:
        reason = "Stopped before anything could be confirmed. Run it again to go on, or give it more minutes."
    else:
        reason = "No candidate helped in the search (within the bound on harm), or there was no time to find one."
    evidence = {
        "confirmation": {name: _confirmed(findings, name) for name in finalists},
        "harm_nats_a_token": {
            name: {task: _paired(difference) for task, difference in by_task.items()} for name, by_task in harm.items()
        },
        "search_nats": _searched(found),
        "settings": {name: sra.to_dict() for name, sra in finalists.items()},
        "options": dict(options),
        "model": found.manifest["model"],
        "versions": found.manifest["versions"],
        "machine": found.manifest["machine"],
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    sra = finalists[chosen] if chosen is not None else SRAConfig(alpha=0.0)
    return Profile(sra, chosen or "off", reason, evidence)


def _confirmed(findings: Mapping[str, Mapping[str, Finding]], name: str) -> dict[str, Any]:
    return {
        metric: _paired(by_name[name].difference, by_name[name].p_adjusted)
        for metric, by_name in findings.items()
        if name in by_name
    }


def _searched(found: Comparison) -> dict[str, Any]:
    if "search" not in found.tasks:
        return {}
    names = [name for name in found.settings if name != found.baseline and found.values("search", name, "gold_nats")]
    differences = {name: found.difference("gold_nats", name, task="search") for name in names}
    ordered = sorted(names, key=lambda name: differences[name].difference)
    return {name: _paired(differences[name]) for name in ordered}


def _paired(difference: PairedDifference, p_adjusted: float | None = None) -> dict[str, Any]:
    values = {name: round(value, 5) for name, value in dataclasses.asdict(difference).items() if value == value}
    return values if p_adjusted is None else values | {"p_adjusted": round(p_adjusted, 5)}
