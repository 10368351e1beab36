"""One task a file: what is optimised, for how long, and what trials are."""
