"""How money comes to accounts from outside: vouchers."""
