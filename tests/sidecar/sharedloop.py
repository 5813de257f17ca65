"""A loop in a cluster without the cluster: pods with disks of their own, one object store, evaluators that change."""

from datetime import UTC, datetime, timedelta

from driftloop.adapters.logobjects import LogObjects
from driftloop.monitor.engines import SciPyEngine
from driftloop.predictionlog import Label, PredictionLogWriter
from driftloop.predictionlog.shipping import LogShipper
from driftloop.sidecar.clusterevaluator import ClusterEvaluator
from driftloop.sidecar.settings import MonitorSettings
from driftloop.spec import MonitorState, Verdict
from driftloop.spec.loading import read_modelloop
from driftloop.spec.storelayout import StoreLayout
from tests.monitor import traffic
from tests.sidecar.test_evaluator import LOOP

NAMESPACE = "ml"


class SharedLoop:
    """One loop's files in the store."""

    def __init__(self, root, store_uri, *, min_rows=50, limit=100):
        self.root = root
        self.store = LogObjects()
        self.loop_file = root / "loop.yaml"
        text = LOOP.replace("LIMIT", str(limit)).replace("minRows: 200", f"minRows: {min_rows}")
        self.loop_file.write_text(text)
        self.loop = read_modelloop(self.loop_file)
        self.store_uri = store_uri
        self.layout = StoreLayout(store_uri, NAMESPACE, self.loop.metadata.name)
        baseline = traffic.baseline_of(traffic.rows(10_000, seed=1))
        for name, content in (("schema", traffic.SCHEMA), ("baseline", baseline)):
            data = content.model_dump_json(by_alias=True).encode()
            self.store.replace(f"{self.layout.baselines}/v1/{name}.json", data)

    def settings(self, pod, **changes):
        folder = self.root / pod
        folder.mkdir(exist_ok=True)
        values = {
            "loop_file": self.loop_file,
            "loop_uid": "uid-1",
            "loop_object_uid": "uid-of-object",
            "namespace": NAMESPACE,
            "store_uri": self.store_uri,
            "writer_id": pod,
            "log_dir": folder / "log",
            "state_dir": folder / "state",
            "baselines_dir": folder / "baselines",
            "tap_socket": folder / "tap.sock",
            "poll_interval_seconds": 0.1,
        }
        return MonitorSettings(**values | changes)

    def pod(self, name):
        return LoggingPod(self, name)

    def evaluator(self, pod, store=None, **changes):
        return ClusterEvaluator(self.loop, self.settings(pod, **changes), SciPyEngine(), store or self.store)

    def verdicts(self):
        """Return what the operator finds, in the order in which it fell due."""
        uri = f"{self.layout.monitor}/verdicts"
        found = [Verdict.model_validate_json(self.store.read(f"{uri}/{f.name}")) for f in self.store.listing(uri)]
        delay = self.loop.spec.monitoring.labels.expected_delay
        return sorted(
            found, key=lambda v: (v.window.end + (delay if v.kind == "performance" else timedelta(0)), v.kind)
        )

    def reports(self):
        return [f.name for f in self.store.listing(f"{self.layout.monitor}/reports") if f.name.endswith(".json")]

    def state(self):
        return MonitorState.model_validate_json(self.store.read(f"{self.layout.monitor}/state.json"))


class LoggingPod:
    """A pod's log, written as its intake would and shipped as its shipping process would."""

    def __init__(self, shared, name):
        self.name = name
        self.root = shared.root / name / "log"
        self.shipper = LogShipper(self.root, name, shared.store, shared.layout.log, keep=timedelta(0))

    def write(self, records=(), *, through=None, heartbeat=None):
        now = heartbeat or datetime.now(UTC)
        with PredictionLogWriter(self.root, writer_id=self.name, sync=False, utc_now=lambda: now) as writer:
            for record in records:
                (writer.append_labels if isinstance(record, Label) else writer.append_predictions)([record])
                if writer.pending.rows >= 25:
                    writer.commit()
            writer.commit(None if through is None else traffic.START + through * traffic.DAY)

    def send(self, records=(), *, through=None, heartbeat=None, ended=False):
        self.write(records, through=through, heartbeat=heartbeat)
        self.shipper.ship(ended=ended)
        self.shipper.clean(datetime.now(UTC))
