"""Seeded profiles of invented companies and reports of invented sites, for questions about several passages."""

from __future__ import annotations

import dataclasses
import random

__all__ = ["PLACES", "Company", "companies", "site_report"]


def _list(words: str) -> tuple[str, ...]:
    return tuple(words.split())


PLACES = _list(
    "Aldby Brunnhagen Corvane Dellmoor Estrova Fenwick Gladmar Holmsund Istrell Jorvale Kestring Lundhaven Marbeck "
    "Norholt Ostwick Pellworth Quarnby Rosmere Saltham Torvik Ulfborg Vennhill Westmarch Yarnfield"
)
_FAMILIES = _list(
    "Abelson Brandt Castellan Drury Ekholm Farrow Garnier Hollis Ivarsen Jessop Kimball Lindqvist Mercer Nyberg Oakes "
    "Pemberton Quillan Ravnsborg Sefton Thorsen Umland Vickery Wexford Ystad"
)
_TRADES = _list("Pumps Valves Freight Glass Timber Foods Textiles Optics Cables Ceramics Bearings Packaging")
_MONTHS = _list("January February March April May June July August September October November December")
_REMARKS = (
    "Most of its customers are in the region, and orders are planned a quarter ahead.",
    "The site was enlarged twice, and a second line runs in the busy months.",
    "Sales were steady over the year, and the number of complaints fell again.",
    "A new training programme was started, which every department takes part in.",
    "Energy costs were the largest change of the year, and new contracts were signed.",
    "Two suppliers were replaced, and delivery times have become shorter since.",
)
_INCIDENTS = (
    "a leak in the cooling circuit stopped work for two days",
    "a forklift damaged a loading gate, and nobody was hurt",
    "a power cut spoiled one batch of goods",
    "water entered the archive, and some files had to be dried",
    "a delivery of the wrong parts was sent back",
    "a fire alarm turned out to be caused by dust",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Company:
    """A company and the passage about it.

    Parameters
    ----------
    name, place
        What it is called, and where its head office is.
    staff
        Number of employees.
    owner
        Name of the company that it belongs to; None for a parent company.
    text
        The passage.
    """

    name: str
    place: str
    staff: int
    owner: str | None
    text: str


def companies(count: int, rng: random.Random) -> list[Company]:
    """Make companies, every second one the parent of the one before it; at most 24, all in different places."""
    places = rng.sample(PLACES, count)
    families = rng.sample(_FAMILIES, count)
    staff = rng.sample(range(120, 5000, 7), count)
    names = [f"{family} {rng.choice(_TRADES)}" for family in families]
    names[1::2] = [f"{family} Group" for family in families[1::2]]
    made = []
    for at, (name, place, people) in enumerate(zip(names, places, staff, strict=True)):
        owner = names[at + 1] if at % 2 == 0 and at + 1 < count else None
        belongs = (
            "It has no parent company." if owner is None else f"It belongs to {owner}, which bought all its shares."
        )
        text = (
            f"{name} has its head office in {place} and employs {people:,} people. {belongs} {rng.choice(_REMARKS)} "
            f"{rng.choice(_REMARKS)}"
        )
        made.append(Company(name, place, people, owner, text))
    return made


def site_report(place: str, rng: random.Random) -> str:
    """Write the report of a site, with one incident."""
    month = rng.choice(_MONTHS)
    first, second = rng.sample(_REMARKS, 2)
    return f"Report of the site in {place}. {first} In {month} {rng.choice(_INCIDENTS)}. {second}"
