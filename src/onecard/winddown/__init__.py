"""The end of the service by order: a plan of dated stages, and the gates that it opens and closes."""
