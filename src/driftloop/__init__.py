"""driftloop: the loop from live drift to a better model, on a laptop and on Kubernetes."""

__version__ = "0.1.0"
