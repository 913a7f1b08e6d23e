"""Legal holds: while one is in force, nothing is destroyed and no number goes back. One person adds it, two lift it."""
