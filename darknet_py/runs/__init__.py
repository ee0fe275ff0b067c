"""What every long run needs, whatever it does: work done ahead, a journal to go on from, word of its progress."""
