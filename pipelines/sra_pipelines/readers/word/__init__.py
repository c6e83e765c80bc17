"""The parts of a Word file: lists, numbering, notes, XML."""
