"""How C is found: whitened spaces, CMA-ES, PGPE, the policy gradient, and the run of generations."""
