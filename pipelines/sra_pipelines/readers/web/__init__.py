"""HTML and the formats that contain it: encodings, form controls and list numbers; EPUB and e-mail."""
