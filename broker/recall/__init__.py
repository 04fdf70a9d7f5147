"""Taking back: an owner says that something is disputed, corrected or withdrawn, and everyone who got it is told.

What was made of it is found by walking the sources once, here; a decision later only looks at a mark beside the item.
Nothing is erased: the accounting of what went out stays, and says what became of it.
"""
