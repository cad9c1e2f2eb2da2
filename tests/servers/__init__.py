"""Servers that tests start themselves, and stop at the end."""
