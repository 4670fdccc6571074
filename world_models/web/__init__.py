"""A run taken elsewhere: its graphs as ONNX, and the page that dreams in a browser."""
