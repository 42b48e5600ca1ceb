"""The only preprocessing: stamps to pairs, pairs to a uniform grid, boxes to model cells. Training uses it too."""
