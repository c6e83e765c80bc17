"""Rivals: other ways to use what is known about the passages, with the same questions as the settings."""

from sra_evaluations.rivals.rival import RIVALS, Rival, parse_rival

__all__ = ["RIVALS", "Rival", "parse_rival"]
