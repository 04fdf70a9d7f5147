"""Durable jobs in the same database: promising to do something is a row in the transaction that promises it."""
