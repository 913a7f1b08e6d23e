"""Hold ledger, payout files and bank statements against each other, and money in hand against what is owed."""
