"""The end: what was on every account at the gate, what is left and why, and the statement that proves it."""
