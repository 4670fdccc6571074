"""What is known of environments by their ids, and of those that a script registers."""
