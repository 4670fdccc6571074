"""`world-models doctor`: what can be known of an environment, a data folder and a run before hours are spent."""
