"""Values that are kept apart from cash: deposits, disputed money, promotional credit, cards that became void."""
