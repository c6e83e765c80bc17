"""Write equations of Word and MathML on one line: ``(a+b)/2``, ``x^2``, ``√(x)``, ``∑_(i=1)^n x``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lxml import etree

__all__ = ["equation_text"]

_ATOM = re.compile(r"[\w.,∞']*|[-\u2212][\w.]+|\([^()]*\)")
_DEEPEST = 60
_SUMS = {"∑", "∏", "∫", "∬", "∭", "∮", "\u22c3", "\u22c2", "\u22c1", "\u22c0"}
_LEFT_OUT = {"annotation", "annotation-xml", "mphantom", "phant", "ctrlPr", "rPr", "del", "moveFrom"}


def equation_text(element: Any) -> str:
    """Return an equation as text.

    Parameters
    ----------
    element
        The ``m:oMath`` element of a Word file or the ``math`` element of an HTML file.
    """
    return " ".join(_text(element, 0).split())


def _text(element: Any, depth: int) -> str:
    """Return the text of a part; that of each child is made once, so the time is linear in the number of parts."""
    name = _name(element)
    if name in _LEFT_OUT or name.endswith("Pr"):
        return ""
    children = [child for child in element if isinstance(child.tag, str) and not _name(child).endswith("Pr")]
    leaf = not children and name not in ("r", "e", "num", "den", "sup", "sub", "deg")
    if name == "t" or leaf or depth > _DEEPEST:
        return "".join(element.itertext())
    if name == "m" and (rows := [child for child in children if _name(child) == "mr"]):
        return "[" + "; ".join(", ".join(_text(cell, depth + 2) for cell in row) for row in rows) + "]"
    values = [_text(child, depth + 1) for child in children]
    of_word = _word_equation(element, name, [_name(child) for child in children], values)
    if of_word is not None:
        return of_word
    of_html = _mathml(element, name, values)
    if of_html is not None:
        return of_html
    own = "".join(value + (child.tail or "") for value, child in zip(values, children, strict=True))
    return (element.text or "") + own if name.startswith("m") else own


def _word_equation(element: Any, name: str, names: Sequence[str], values: Sequence[str]) -> str | None:
    parts = dict(zip(names, values, strict=True))
    sub, sup = _script("_", parts.get("sub", "")), _script("^", parts.get("sup", ""))
    base = parts.get("e", "")
    if name == "f" and "num" in parts:
        return f"{_grouped(parts['num'])}/{_grouped(parts.get('den', ''))}"
    if name in ("sSup", "sSub", "sSubSup"):
        return f"{_grouped(base)}{sub}{sup}"
    if name == "sPre":
        return f"{sub}{sup}{base}"
    if name == "rad":
        return f"{_root(parts.get('deg', ''))}({base})"
    if name == "nary":
        return f"{_value(element, 'chr') or '∫'}{sub}{sup} {base}"
    if name == "d":
        own = {side: _value(element, f"{side}Chr") for side in ("beg", "sep", "end")}
        inner = [value for child, value in zip(names, values, strict=True) if child == "e"]
        begin, end = (own[side] if own[side] is not None else mark for side, mark in (("beg", "("), ("end", ")")))
        return f"{begin}{(own['sep'] or '|').join(inner)}{end}"
    if name in ("limLow", "limUpp"):
        return f"{base}{_script('_' if name == 'limLow' else '^', parts.get('lim', ''))}"
    if name == "func":
        return f"{parts.get('fName', '')}({base})"
    return None


def _mathml(element: Any, name: str, values: Sequence[str]) -> str | None:
    if name == "mfrac" and len(values) == 2:
        return f"{_grouped(values[0])}/{_grouped(values[1])}"
    if name in ("msup", "mover", "msub", "munder") and len(values) == 2:
        return f"{_grouped(values[0])}{_script('^' if name in ('msup', 'mover') else '_', values[1])}"
    if name in ("msubsup", "munderover") and len(values) == 3:
        space = " " if values[0].strip() in _SUMS else ""
        return f"{values[0]}{_script('_', values[1])}{_script('^', values[2])}{space}"
    if name == "msqrt":
        return f"√({''.join(values)})"
    if name == "mroot" and len(values) == 2:
        return f"{_root(values[1])}({values[0]})"
    if name == "mfenced":
        return f"{element.get('open', '(')}{', '.join(values)}{element.get('close', ')')}"
    if name == "mtable":
        return f"[{'; '.join(values)}]"
    if name == "mtr":
        return ", ".join(values)
    return None


def _name(element: Any) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _value(element: Any, name: str) -> str | None:
    """Return the value of a property, such as the sign of a sum; None if it is not set."""
    for part in element.iter():
        if _name(part) == name:
            return next((str(value) for key, value in part.attrib.items() if key.endswith("val")), "")
        if _name(part) == "e":
            break
    return None


def _grouped(text: str) -> str:
    text = text.strip()
    return text if _ATOM.fullmatch(text) else f"({text})"


def _script(mark: str, text: str) -> str:
    text = text.strip()
    return f"{mark}{_grouped(text)}" if text else ""


def _root(degree: str) -> str:
    degree = degree.strip()
    return {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree, f"{_grouped(degree)}√")
