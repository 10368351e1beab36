"""The share of wall time in which a device trains, with and without the judge, its boxes and what waits ready."""
