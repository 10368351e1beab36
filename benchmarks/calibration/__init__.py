"""Do our parts do what the literature says of them? Against known optima and other implementations."""
