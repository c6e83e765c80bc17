"""Recognition of text in scanned pages and pictures, with the extra ``ocr``."""
