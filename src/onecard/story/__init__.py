"""The demonstration: a made-up operator, its simulated partners, and the story they tell together."""
