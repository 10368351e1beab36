"""What the engine costs, how noisy a trial is, and what a search is worth on fresh seeds."""
