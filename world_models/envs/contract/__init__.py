"""Gymnasium's contract, held to: making, resetting and stepping, and what a picture means."""
