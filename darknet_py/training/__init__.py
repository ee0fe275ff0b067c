"""Training a network: what it sees, in which order, and how it learns from that."""
