"""onecard: one SIM card, many phone numbers, one prepaid account."""
