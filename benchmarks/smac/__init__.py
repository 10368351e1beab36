"""SMAC3 as a sampler, in an environment of its own: its dependencies are none of the project's."""
