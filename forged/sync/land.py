"""Step to come."""
