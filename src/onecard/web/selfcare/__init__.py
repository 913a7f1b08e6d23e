"""Self-care: what subscribers see and do."""
