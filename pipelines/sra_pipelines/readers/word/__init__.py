"""Parts of the Word reader: lists, numbering, notes and XML values."""
