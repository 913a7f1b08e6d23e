"""What subscribers are told of a wind-down: composed from its plan, sent by one channel after another, and proved."""
