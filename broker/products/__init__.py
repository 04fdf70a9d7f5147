"""What is made of items: reviews of candidate lists, and derived items that keep every owner of their sources."""
