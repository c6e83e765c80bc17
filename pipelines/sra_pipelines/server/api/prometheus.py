"""Metrics for Prometheus: requests, tokens, timing, and the length of the queue."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sra_pipelines.server.slots import Slots
from sra_rag.generation.result import Generation

__all__ = ["Metrics"]

_SECONDS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics:
    """Counters of one server.

    Parameters
    ----------
    slots
        Slots whose queue is reported.
    """

    def __init__(self, slots: Slots) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sra_rag_requests", "Requested answers, by outcome.", ["outcome"], registry=self.registry
        )
        self._tokens = Counter("sra_rag_tokens", "Tokens processed and generated.", ["kind"], registry=self.registry)
        self._prefill = Histogram(
            "sra_rag_prefill_seconds", "Seconds until the first token.", registry=self.registry, buckets=_SECONDS
        )
        self._decode = Histogram(
            "sra_rag_decode_seconds", "Seconds after the first token.", registry=self.registry, buckets=_SECONDS
        )
        waiting = Gauge("sra_rag_requests_waiting", "Requests in the queue.", registry=self.registry)
        waiting.set_function(lambda: slots.waiting)
        running = Gauge("sra_rag_requests_running", "Answers being generated.", registry=self.registry)
        running.set_function(lambda: slots.running)

    def ended(self, outcome: str) -> None:
        """Count a request: ``ok``, ``error``, ``refused``, ``cancelled`` or ``stopped``."""
        self._requests.labels(outcome).inc()

    def answered(self, generation: Generation) -> None:
        """Record the tokens and timing of an answer."""
        usage, timing = generation.usage, generation.timing
        for kind, count in (
            ("prompt", usage.prompt_tokens - usage.cached_tokens),
            ("cached", usage.cached_tokens),
            ("completion", usage.completion_tokens),
        ):
            self._tokens.labels(kind).inc(count)
        self._prefill.observe(timing.prefill_seconds)
        self._decode.observe(timing.decode_seconds)

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)
