"""`make bench`: native and ours, interleaved in one run, as ratios."""
