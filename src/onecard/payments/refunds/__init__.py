"""Balances on their way back to whom they belong."""
