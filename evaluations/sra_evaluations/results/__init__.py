"""Records of a run, and the statistics and comparisons made from them."""
