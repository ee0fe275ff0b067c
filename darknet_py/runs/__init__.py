"""What every long run needs, whatever it does: work done ahead, a journal to resume from, its progress."""
