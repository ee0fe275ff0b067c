"""Self-contained pages of HTML, which can be opened from disk, printed, and sent by mail."""
