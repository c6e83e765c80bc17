"""How numbers and units are written, for the checks of amounts."""
