"""The catalogue of algorithms and the metrics by which their models are compared. Heavy libraries are imported late."""

from driftloop.algorithms.algorithm import Algorithm
from driftloop.algorithms.catalogue import CATALOGUE, get_algorithm, resolve_algorithms

__all__ = ["CATALOGUE", "Algorithm", "get_algorithm", "resolve_algorithms"]
