"""What the pictures and charts of a report are made of."""
