"""Find the unit after a number, of time in several languages or of a measure, and compare amounts with units."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["EXTENT", "same_measure", "unit_after"]

# Words for units of time, in the languages of `sra_pipelines.checks.dates` where they are not words of another one.
_TIME_UNITS = {
    "year": r"years?|Jahre?n?|ann\u00e9es?|ans?|a\u00f1os?|ann[io]|anos?|jaar|jaren|\u00e5r|lata?|rok[uy]?"
    r"|\u043b\u0435\u0442|\u0433\u043e\u0434\u0430?",
    "month": r"months?|Monate?n?|mois|mes(?:es)?|mes[ei]|m\u00eas|maand(?:en)?|m\u00e5n[ae]der|miesi\u0119cy"
    r"|m\u011bs\u00edc[e\u016f]?|\u043c\u0435\u0441\u044f\u0446\w*",
    "week": r"weeks?|Wochen?|semaines?|semanas?|settiman[ae]|weken|uger|veckor|tygodni\w*|t\u00fddn\w*"
    r"|\u043d\u0435\u0434\u0435\u043b\w*",
    "day": r"days?|Tage?n?|jours?|d\u00edas?|dias?|giorn[io]|dag(?:en|ar)|dage|dni|dn\u016f"
    r"|\u0434\u043d(?:\u0435\u0439|\u044f)|\u0434\u0435\u043d\u044c",
    "hour": r"hours?|Stunden?|heures?|horas?|uren|timer|godzin\w*|hodin\w*|\u0447\u0430\u0441(?:\u0430|\u043e\u0432)?",
    "minute": r"minutes?|Minuten?|minutos?|minut[io]?|mins?",
    "second": r"seconds?|Sekunden?|secondes?|segundos?|second[io]|secs?",
}
EXTENT = r"\s+(?:long|wide|high|deep|tall|thick|above|below|away|apart|from)\b"
"""Pattern of what follows an "m" that is metres and not millions."""

_MEASURES = {
    "millimetre": r"mm|millimet(?:re|er)s?",
    "centimetre": r"cm|centimet(?:re|er)s?",
    "metre": rf"met(?:re|er)s?|m(?={EXTENT})",
    "kilometre": r"km|kilomet(?:re|er)s?",
    "inch": r"inch(?:es)?",
    "foot": r"f(?:ee|oo)t|ft",
    "mile": r"miles?",
    "milligram": r"mg|milligrams?",
    "gram": r"g|gram(?:me)?s?",
    "kilogram": r"kg|kilos?|kilogram(?:me)?s?",
    "tonne": r"tonnes?|t",
    "kilobyte": r"KB|kilobytes?",
    "megabyte": r"MB|megabytes?",
    "gigabyte": r"GB|gigabytes?",
    "terabyte": r"TB|terabytes?",
    "kilowatt_hour": r"kWh|kilowatt[\s-]hours?",
    "megawatt_hour": r"MWh|megawatt[\s-]hours?",
    "gigawatt_hour": r"GWh|gigawatt[\s-]hours?",
    "kilowatt": r"kW|kilowatts?",
    "megawatt": r"MW|megawatts?",
    "gigawatt": r"GW|gigawatts?",
    "square_foot": r"sq\.?\s?ft|square\s+f(?:ee|oo)t",
    "square_metre": r"sq\.?\s?m|m\u00b2|square\s+met(?:re|er)s?",
    "hectare": r"hectares?",
    "acre": r"acres?",
    "millilitre": r"ml|millilit(?:re|er)s?",
    "centilitre": r"cl|centilit(?:re|er)s?",
    "litre": r"lit(?:re|er)s?|l",
    "gallon": r"gallons?",
    "barrel": r"barrels?",
    "cent": r"cents?|\u00a2",
    "penny": r"pence|penn(?:y|ies)|(?<=\d)p",
}
_IDEOGRAPHIC_UNITS = {
    "month": "(?:[\u304b\u30f6\u30ab\u30f5\u30b1\u7b87\u4e2a\u500b]\u6708|\uac1c\uc6d4)",
    "year": "(?:\u5e74|\ub144)",
    "week": "(?:[\u9031\u5468]|\uc8fc)",
    "day": "(?:[\u65e5\u5929]|\uc77c)",
    "hour": "(?:\u6642\u9593|\u5c0f\u65f6|\u5c0f\u6642|\uc2dc\uac04)",
    "minute": "(?:\u5206\u9593|\u5206\u949f|\u5206\u9418)",
}
_UNIT_AFTER = re.compile(
    r"[\s-]{0,2}(?:(?:business|working|calendar|consecutive|full|further|whole)\s+)*(?:"
    + "|".join(rf"(?P<{unit}>(?:{words})\b)" for unit, words in (_TIME_UNITS | _MEASURES).items())
    + ")|\\s?(?:"
    + "|".join(rf"(?P<i_{unit}>{words})" for unit, words in _IDEOGRAPHIC_UNITS.items())
    + ")",
    re.IGNORECASE,
)

# Months and years have no fixed number of days, so the two groups are not compared with each other.
_IN_MONTHS = {"month": 1, "year": 12}
_IN_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_IN_MILLIMETRES = {"millimetre": 1, "centimetre": 10, "metre": 1000, "kilometre": 1_000_000}
_IN_INCHES = {"inch": 1, "foot": 12, "mile": 63_360}
_IN_MILLIGRAMS = {"milligram": 1, "gram": 1000, "kilogram": 1_000_000, "tonne": 1_000_000_000}
_IN_MILLILITRES = {"millilitre": 1, "centilitre": 10, "litre": 1000}
_IN_KILOBYTES = {"kilobyte": 1, "megabyte": 1000, "gigabyte": 1_000_000, "terabyte": 1_000_000_000}
_IN_KILOWATTS = {"kilowatt": 1, "megawatt": 1000, "gigawatt": 1_000_000}
_IN_KILOWATT_HOURS = {"kilowatt_hour": 1, "megawatt_hour": 1000, "gigawatt_hour": 1_000_000}
_GROUPS = (
    _IN_MONTHS, _IN_SECONDS, _IN_MILLIMETRES, _IN_INCHES, _IN_MILLIGRAMS, _IN_MILLILITRES, _IN_KILOBYTES, _IN_KILOWATTS,
    _IN_KILOWATT_HOURS,
)  # fmt: skip


def unit_after(text: str, end: int) -> str:
    """Return the unit that follows a number which ends at `end`, such as "month"; empty if there is none."""
    match = _UNIT_AFTER.match(text, end)
    return "" if match is None or match.lastgroup is None else match.lastgroup.removeprefix("i_")


def same_measure(one: Decimal, unit: str, other: Decimal, other_unit: str) -> bool:
    """Return whether two amounts in different units are equal, such as 2 years and 24 months."""
    return any(
        unit in group and other_unit in group and one * group[unit] == other * group[other_unit] for group in _GROUPS
    )
