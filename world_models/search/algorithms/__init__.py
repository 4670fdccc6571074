"""Search algorithms: candidates or gradients in, better parameters out; no environment, no files."""
