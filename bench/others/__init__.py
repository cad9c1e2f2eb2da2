"""What a user would pick instead: the same questions, put to polars, pandas and ClickHouse (chDB)."""
