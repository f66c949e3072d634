"""What programs ask: HTTP, below `/api/v1`."""
