"""SIM and eSIM stock: import, sale, activation, replacement, end."""
