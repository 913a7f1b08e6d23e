"""The console: what staff run the operator from. Pages read here; what is done is done by the domains' actions."""
