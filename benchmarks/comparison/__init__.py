"""What every method of the benchmark shares: how runs are made, written down, compared and told."""
