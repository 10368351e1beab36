"""Where trials run. One file for each place."""
