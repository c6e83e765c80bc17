"""Times of day, days of the week, periods of a year and lengths of time, for the checks of answers."""
