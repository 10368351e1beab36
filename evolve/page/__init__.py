"""The page of a run: one HTML file that opens without a network, and the same page served live on loopback."""
