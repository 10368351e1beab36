"""What a person sees of a run. Reads the history, writes nothing."""
