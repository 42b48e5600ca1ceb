"""From clips to a checkpoint: models, losses, data, the training loop. The only home of torch modules."""
