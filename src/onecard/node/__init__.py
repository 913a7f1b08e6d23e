"""One running onecard: configuration, and the parts put together."""
