"""Commands: a thin shell over the parts below, one module for each group of commands."""
