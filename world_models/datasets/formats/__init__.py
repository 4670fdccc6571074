"""The schema of a rollout file, and other forms that are read as one."""
