"""What the alarms are worth, measured beside the peers: `make bench-alarms`; docs/benchmarks.md keeps the tables."""
