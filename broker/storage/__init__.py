"""PostgreSQL, transactions, and content sealed at rest. No word of the business is known here."""
