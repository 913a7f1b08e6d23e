"""HTTP for machines: home operators post outcomes of applications; health and metrics are read."""
