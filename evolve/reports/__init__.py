"""What a person sees of a run, and of what a run would stand on. Writes nothing into it."""
