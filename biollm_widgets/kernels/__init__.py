"""Kernels of Jupyter: one's own for a while, the one of the course for good, and a trial of either."""

from biollm_widgets.kernels.own import own_kernel

__all__ = ["own_kernel"]
