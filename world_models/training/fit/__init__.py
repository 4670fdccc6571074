"""How V and M are trained: the epoch loop, its losses, its data and what it keeps."""
