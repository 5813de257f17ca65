"""What the alarms are worth, measured beside the peers; `make bench-alarms` runs all of it, docs/benchmarks.md keeps it."""
