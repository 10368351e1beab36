"""A table of trials that were really run, and a surrogate for those that were not."""
