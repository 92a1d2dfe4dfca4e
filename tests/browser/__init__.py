"""A real JupyterLab and a real Notebook 7 in a real Chromium. A package, so that what they share ends with them."""
