"""Metrics in YAML, over a source `bank` with the columns `booked_on` and `amount`."""
