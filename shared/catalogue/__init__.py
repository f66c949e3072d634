"""The catalogue: one row a dataset, in SQLite or PostgreSQL."""
