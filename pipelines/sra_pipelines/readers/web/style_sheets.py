"""Style sheets of an HTML file, as far as they decide what the text is.

That is what is hidden, raised, lowered or struck, and how lists are numbered. Rules with one element, class or name in
front count (``.note``, ``span.note``, ``#terms``), in any number separated by commas. Other selectors and rules for a
medium are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["StyleSheets"]

_SIMPLE = re.compile(r"(?P<tag>[a-z][a-z0-9]*)?(?P<classes>(?:\.[\w-]+)*)(?P<id>#[\w-]+)?", re.IGNORECASE)
_MATTERS = re.compile(
    r"\b(?:display|visibility|vertical-align|position|list-style(?:-type)?|text-decoration(?:-line)?)\s*:",
    re.IGNORECASE,
)
# With counters, the numbers of a list are written by rules that are not read here; so the usual ones stand for them.
_COUNTER = re.compile(r"\bcounter-increment\s*:", re.IGNORECASE)
_NO_MARKS = re.compile(r"\blist-style(?:-type)?\s*:\s*none\b", re.IGNORECASE)
_LONGEST = 1_000_000  # characters of all style sheets
_MOST_RULES = 5_000


class StyleSheets:
    """The rules of a file.

    Parameters
    ----------
    sources
        The style sheets in their order.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self._rules: dict[str, list[tuple[int, int, str, frozenset[str], str, str]]] = {}
        self._count = 0
        self._known: dict[tuple[str, str, str], str] = {}
        length = 0
        for source in sources:
            length += len(source)
            if length <= _LONGEST and _MATTERS.search(source):
                self._add(_NO_MARKS.sub("", source) if _COUNTER.search(source) else source)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def _add(self, source: str) -> None:
        import tinycss2  # most files have no such rules

        for rule in tinycss2.parse_stylesheet(source, skip_comments=True, skip_whitespace=True):
            if rule.type != "qualified-rule":
                continue
            declarations = tinycss2.serialize(rule.content)
            if not _MATTERS.search(declarations):
                continue
            for selector in tinycss2.serialize(rule.prelude).split(","):
                match = _SIMPLE.fullmatch(selector.strip())
                if match is None or not match[0] or self._count >= _MOST_RULES:
                    continue
                self._count += 1
                tag, name = (match["tag"] or "").lower(), (match["id"] or "")[1:]
                classes = frozenset(match["classes"].split(".")[1:])
                weight = 100 * bool(name) + 10 * len(classes) + bool(tag)
                key = f"#{name}" if name else f".{min(classes)}" if classes else tag
                self._rules.setdefault(key, []).append((weight, self._count, tag, classes, name, declarations))

    def style(self, tag: str, classes: str, name: str) -> str:
        """Return the declarations for an element, the most important ones last.

        Parameters
        ----------
        tag
            Tag in lower case.
        classes
            Its classes, separated by blanks.
        name
            Its ``id``.
        """
        key = (tag, classes, name)
        if key not in self._known:
            own = set(classes.split())
            keys = [tag, *(f".{part}" for part in own), f"#{name}"]
            rules = sorted(
                rule
                for rule in (rule for key in keys for rule in self._rules.get(key, ()))
                if rule[2] in ("", tag) and rule[3] <= own and rule[4] in ("", name)
            )
            self._known[key] = ";".join(rule[5] for rule in rules)
        return self._known[key]
