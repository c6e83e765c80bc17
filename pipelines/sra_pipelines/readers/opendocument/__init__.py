"""OpenDocument: the reader, styles, and the text of paragraphs, lists and tables."""
