"""The operator: one process that minds every ModelLoop of a cluster, with `loop` deciding."""
