"""Training a network: what it sees and in which order, and how it learns from that."""
