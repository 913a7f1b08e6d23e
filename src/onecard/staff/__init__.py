"""Who runs the operator: staff accounts, their roles, and how they prove who they are."""
