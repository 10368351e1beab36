"""The engine: evolves a population of programs. Knows nothing of LLMs, syntax trees or torch."""
