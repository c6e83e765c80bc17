"""Notation that plain text lacks: superscripts, subscripts and equations."""
