"""Tariffs: what usage costs, as versioned price books; rating is pure."""
