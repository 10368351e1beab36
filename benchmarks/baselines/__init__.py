"""One method a file, each with a `METHOD`."""
