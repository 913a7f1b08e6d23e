"""Cards sold with their numbers and accounts, and ended: what joins stock, pools and subscribers."""
