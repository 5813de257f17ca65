"""What Prometheus gets to know of the operator. Alert rules name these: see docs/operator.md."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The operator's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.condition = Gauge(
            "driftloop_loop_condition",
            "1 for the status that a condition of a loop has, 0 for the others.",
            ["namespace", "loop", "condition", "status"],
            registry=self.registry,
        )
        self.decisions = Counter(
            "driftloop_decisions_total",
            "Entries that the operator wrote to ledgers, by kind.",
            ["namespace", "loop", "entry"],
            registry=self.registry,
        )
        self.runs = Counter(
            "driftloop_runs_total",
            "Ends of pipeline runs; outcome: succeeded or failed.",
            ["namespace", "loop", "outcome"],
            registry=self.registry,
        )
        self.open_runs = Gauge("driftloop_runs_in_progress", "Runs ordered and not finished.", registry=self.registry)
        self.steps = Counter("driftloop_steps_total", "Steps taken, over all loops.", registry=self.registry)
        self.step_errors = Counter(
            "driftloop_step_errors_total",
            "Steps cut off by a failure of the surroundings, and taken again; reason as in the condition.",
            ["namespace", "loop", "reason"],
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "driftloop_step_seconds",
            "Time for one step of one loop.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.report_to_run_seconds = Histogram(
            "driftloop_report_to_run_seconds",
            "Time from the creation of a DriftReport to the submitted run that answers it.",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            registry=self.registry,
        )
        self.api_errors = Counter(
            "driftloop_api_errors_total", "Calls that the Kubernetes API did not answer.", registry=self.registry
        )
        self.store_errors = Counter(
            "driftloop_store_errors_total", "Calls that the object store did not answer.", registry=self.registry
        )
        self.notifications = Counter(
            "driftloop_notifications_total",
            "Notifications; outcome: delivered or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.holds_lease = Gauge(
            "driftloop_operator_holds_lease", "1 while this operator holds the Lease and acts.", registry=self.registry
        )

    def show_conditions(self, namespace: str, loop: str, conditions: list[Mapping[str, Any]]) -> None:
        """Set the gauges of one loop."""
        for condition in conditions:
            for status in ("True", "False", "Unknown"):
                gauge = self.condition.labels(namespace, loop, condition["type"], status)
                gauge.set(condition["status"] == status)

    def forget(self, namespace: str, loop: str) -> None:
        """Show nothing more of a loop that is gone."""
        for metric in (self.condition, self.decisions, self.runs, self.step_errors):
            metric.remove_by_labels({"namespace": namespace, "loop": loop})
