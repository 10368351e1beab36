"""The commands of `python -m evolve`, by theme; each module registers its own."""
