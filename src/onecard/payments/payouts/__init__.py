"""Refunds on their way through the bank: runs, the files of them, and what comes back."""
