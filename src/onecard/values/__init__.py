"""The vocabulary of the whole system: exact money, phone numbers, identifiers, time, languages. No I/O."""
