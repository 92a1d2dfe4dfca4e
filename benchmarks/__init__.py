"""Every figure that the README quotes, remade by one command each; ratios within one run."""
