"""Stage 3: passing on. A release is a copy for one recipient, with its disclosure in the same commit."""
