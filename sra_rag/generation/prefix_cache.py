"""Reuse of prefills: keys and values of a context that was read before are not computed again.

The cache of transformers grows by concatenation and never writes into a tensor it has returned, so a
stored prefill does not change while a request continues from a part of it.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from sra_rag.config import SRAConfig

__all__ = ["PrefixCache", "cache_argument", "dependence", "joined", "keeps_all"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    token_ids: tuple[int, ...]
    untouched: int
    settings: Hashable
    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]

    @property
    def name(self) -> Hashable:
        return self.token_ids, self.untouched, self.settings


class PrefixCache:
    """The most recently used prefills of one model.

    Parameters
    ----------
    max_entries
        How many are kept; 0 keeps none.
    """

    def __init__(self, max_entries: int) -> None:
        self.max_entries = max_entries
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._more = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are kept now."""
        return len(self._entries)

    @contextmanager
    def room(self, entries: int) -> Iterator[None]:
        """Keep so many additional prefills within the block, such as those of a batch; none if the cache keeps none."""
        with self._lock:
            self._more += entries
        try:
            yield
        finally:
            with self._lock:
                self._more -= entries
                self._drop_surplus()

    def take(
        self, token_ids: Sequence[int], untouched: int, settings: Hashable, config: object
    ) -> tuple[DynamicCache, int]:
        """Return a key/value cache filled with the longest usable prefix, and its length.

        Keys and values of a sharpened row depend on the settings, those before the first sharpened row do not.

        Parameters
        ----------
        token_ids
            The prompt.
        untouched
            How many leading rows of the request are not sharpened.
        settings
            What the other rows depend on.
        config
            The model's config, from which an empty cache is made.
        """
        cache = DynamicCache(config=config)
        with self._lock:
            best, length = None, 0
            for entry in self._entries.values():
                common = _common_prefix(entry.token_ids, token_ids)
                if entry.settings != settings or entry.untouched != untouched:
                    common = min(common, entry.untouched, untouched)
                if common > length:
                    best, length = entry, common
            # The last token of the prompt is always computed: its logits choose the first token of the answer.
            length = min(length, len(token_ids) - 1)
            if best is None or length <= 0:
                return cache, 0
            self._entries.move_to_end(best.name)
        for layer, (keys, values) in enumerate(zip(best.keys, best.values, strict=True)):
            cache.update(keys[:, :, :length], values[:, :, :length], layer)
        return cache, length

    def put(self, token_ids: Sequence[int], untouched: int, settings: Hashable, cache: DynamicCache) -> None:
        """Keep what `cache` holds for `token_ids`; a cache whose layers forget (sliding windows) is not kept."""
        if self.max_entries == 0 or not keeps_all(cache):
            return
        length = min(cache.get_seq_length(), len(token_ids))
        ids = tuple(token_ids[:length])
        entry = _Entry(
            ids,
            untouched,
            settings,
            tuple(layer.keys[:, :, :length] for layer in cache.layers),
            tuple(layer.values[:, :, :length] for layer in cache.layers),
        )
        with self._lock:
            for other in list(self._entries.values()):
                same = other.settings == settings and other.untouched == untouched
                if same and _common_prefix(other.token_ids, ids) == len(other.token_ids):
                    del self._entries[other.name]
            self._entries[entry.name] = entry
            self._drop_surplus()

    def _drop_surplus(self) -> None:
        while len(self._entries) > self.max_entries + self._more:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget all, and free the memory."""
        with self._lock:
            self._entries.clear()


def dependence(sra: SRAConfig | None, context: int, prompt: int) -> tuple[int, str | None]:
    """Return how many leading rows no setting touches, and on what the keys and values of the others depend.

    Parameters
    ----------
    sra
        The settings of a request.
    context, prompt
        Its tokens: those of the context, and all.
    """
    if sra is None or not sra.enabled:
        return sys.maxsize, None
    untouched = {"all": 0, "after_context": context, "generated": prompt}[sra.rows] if sra.sharpens else prompt
    if sra.evidence is not None:
        untouched = min(untouched, context)
    if sra.bounds == "observed":
        # The bounds carried from the prefill are not stored, so sharpened rows are computed again.
        return untouched, f"{sra.to_json()}{time.monotonic_ns()}"
    return untouched, sra.to_json()


def joined(caches: Sequence[DynamicCache], config: object) -> DynamicCache:
    """Make one cache of a batch of those of its sequences, the shorter ones padded at their beginning.

    Parameters
    ----------
    caches
        One per sequence, each of batch 1, of layers that keep all.
    config
        The model's config.
    """
    batch = DynamicCache(config=config)
    longest = max(cache.get_seq_length() for cache in caches)
    for layer, parts in enumerate(zip(*(cache.layers for cache in caches), strict=True)):
        keys = torch.cat([_padded(part.keys, longest) for part in parts])
        values = torch.cat([_padded(part.values, longest) for part in parts])
        batch.update(keys, values, layer)
    return batch


def cache_argument(model: PreTrainedModel, cache: DynamicCache | None) -> dict[str, DynamicCache | None]:
    """Return the keyword argument that hands a cache to `model`: releases of transformers call it by two names."""
    known = inspect.signature(type(model).forward).parameters
    return {"cache" if "cache" in known else "past_key_values": cache}


def keeps_all(cache: DynamicCache) -> bool:
    """Whether no layer forgets, as sliding windows do."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _padded(tensor: torch.Tensor, length: int) -> torch.Tensor:
    return torch.nn.functional.pad(tensor, (0, 0, length - tensor.shape[2], 0))


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))
