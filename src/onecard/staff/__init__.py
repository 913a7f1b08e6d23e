"""Who works for the operator, what each may do, and how each proves who they are."""
