"""PostgreSQL: embedded by default, any other by its address; pool, transactions, migrations, batches."""
