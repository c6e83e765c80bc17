"""Parts of the HTML reader: encodings, form controls and list numbers."""
