"""Compares the pipeline's search with FLAML and with default boosting: same folds, same time, same two cores."""
