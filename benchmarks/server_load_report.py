"""Results of `server_load.py`, as a dict and as a table."""

from __future__ import annotations

import collections
import statistics
from typing import Any

from server_load_clients import Load

__all__ = ["as_markdown", "summarize"]


def summarize(load: Load, memory: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the results of a run; `memory` has pairs of seconds and megabytes."""
    kinds = collections.Counter(fault["kind"] for fault in load.faults)
    turns = [client.answers + client.left for client in load.clients]
    asking = turns[: len(turns) - load.leavers] or turns
    half = [point for point in memory if point[0] >= memory[-1][0] / 2]
    slope = statistics.linear_regression(*zip(*half, strict=True)).slope * 60 if len(half) > 2 else 0.0
    return {
        "answers": {
            "whole": sum(client.answers for client in load.clients),
            "broken off by the client": sum(client.left for client in load.clients),
            **{kind: kinds[kind] for kind in ("lost", "mixed up", "different", "failed")},
            "refused with 429": sum(client.refused for client in load.clients),
        },
        "seconds": {
            name: {"p50": _quantile(values, 50), "p95": _quantile(values, 95), "longest": _quantile(values, 100)}
            for name, values in (
                ("first token", load.first_tokens), ("whole answer", load.totals), ("slot free again", load.freed),
            )
        },
        "fairness": {
            "turns per client": turns,
            "fewest": min(asking),
            "most": max(asking),
            "of the greedy client": turns[0],
            "jain": round(sum(turns) ** 2 / (len(turns) * sum(turn**2 for turn in turns) or 1), 4),
            "longest wait": round(max(client.longest_wait for client in load.clients[1:] or load.clients), 1),
            "longest wait of the greedy client": round(load.clients[0].longest_wait, 1),
            "refusals per client": [client.refused for client in load.clients],
        },
        "memory": {
            "first": round(memory[0][1], 1),
            "at half time": round(half[0][1], 1),
            "last": round(memory[-1][1], 1),
            "most": round(max(value for _, value in memory), 1),
            "MB a minute in the second half": round(slope, 2),
            "points": [(round(second, 1), round(value, 1)) for second, value in memory],
        },
        "faults": load.faults,
    }  # fmt: skip


def as_markdown(result: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    settings, answers, seconds = result["settings"], result["answers"], result["seconds"]
    fairness, memory = result["fairness"], result["memory"]
    rows = [
        ("clients, seconds", f"{settings['clients']}, {settings['seconds']:g}"),
        ("complete answers", f"{answers['whole']:,}"),
        ("lost / mixed up / different / failed",
         " / ".join(str(answers[name]) for name in ("lost", "mixed up", "different", "failed"))),
        ("requests rejected with 429 and sent again", f"{answers['refused with 429']:,}"),
        ("answers during which the client disconnected", f"{answers['broken off by the client']:,}"),
        ("slot free again after a disconnect, s (p50 / p95 / maximum)", _three(seconds["slot free again"])),
        ("first token, including the queue, s (p50 / p95 / maximum)", _three(seconds["first token"])),
        ("complete answer, including the queue, s (p50 / p95 / maximum)", _three(seconds["whole answer"])),
        ("answers per client (minimum-maximum; the greedy client)",
         f"{fairness['fewest']}-{fairness['most']}; {fairness['of the greedy client']}"),
        ("Jain's fairness index of the answers", f"{fairness['jain']:.3f}"),
        ("longest wait for a first token, s (other clients; the greedy client)",
         f"{fairness['longest wait']:g}; {fairness['longest wait of the greedy client']:g}"),
        ("resident memory, MB (start / middle / end)",
         f"{memory['first']:,.0f} / {memory['at half time']:,.0f} / {memory['last']:,.0f}"),
        ("slope of the memory in the second half, MB per minute", f"{memory['MB a minute in the second half']:+.2f}"),
        ("seconds from SIGTERM to the end", f"{result['seconds_to_stop']:g}"),
    ]  # fmt: skip
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _three(values: dict[str, float]) -> str:
    return f"{values['p50']:g} / {values['p95']:g} / {values['longest']:g}"


def _quantile(values: list[float], percent: int) -> float:
    ordered = sorted(values) or [0.0]
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2)
