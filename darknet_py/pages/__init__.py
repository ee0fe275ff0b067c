"""Pages of HTML that need nothing else: opened from disk, printed, sent by mail."""
