"""Texts: accept, hand over, retry, receipt, forget. Commands by text and their answers."""
