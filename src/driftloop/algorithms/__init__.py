"""The catalogue of algorithms and the metrics by which their models are compared. Heavy libraries are imported late."""

from driftloop.algorithms.catalogue import CATALOGUE, Algorithm, get_algorithm, resolve_algorithms

__all__ = ["CATALOGUE", "Algorithm", "get_algorithm", "resolve_algorithms"]
