"""The grid of a table: the place of each cell, the kinds of its values, and the names of its columns."""
