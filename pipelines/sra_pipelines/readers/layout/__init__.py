"""Lines, columns, fields and words of PDF pages, from the positions of their characters."""
