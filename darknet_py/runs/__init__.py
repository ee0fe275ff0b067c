"""What every long run needs, whatever it does: a journal to go on from, and word of how far it has come."""
