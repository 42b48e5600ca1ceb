"""From a checkpoint to graphs that match it, and from graphs to a bundle."""
