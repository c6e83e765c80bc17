"""Office files before 2007: checks of their streams, and what office-oxide does not know of their text."""
