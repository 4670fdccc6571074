"""A whole run: stages, rounds, evaluation, report, and what of it is passed on."""
