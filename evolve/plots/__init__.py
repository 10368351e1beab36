"""Plots of a run as PNG or SVG."""
