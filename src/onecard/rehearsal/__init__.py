"""A plan carried out on synthetic subscribers in a throw-away database: the clock is moved, harm is done."""
