"""Subscribers: basic contact details, sealed with a key each; their language."""
