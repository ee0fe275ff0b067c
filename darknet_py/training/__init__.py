"""What makes a network's weights: options, rates, updates, first weights, checkpoints, and the loop over them."""
