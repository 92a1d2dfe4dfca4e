"""Models: which there are, where they come from, and DNABERT-2 itself."""
