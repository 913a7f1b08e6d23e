"""What is kept of persons, how long, and its destruction: class by class, in batches, with a certificate."""
