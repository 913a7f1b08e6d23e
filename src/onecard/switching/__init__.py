"""Whose line is it, may it, where to, shown as what, at what price: decided purely, read from memory."""
