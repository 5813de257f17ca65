"""Where everything of one loop lies in the object store: the cluster's counterpart of the laptop's workspace.

Known by namespace and name, not by the identity that Kubernetes gives the object: a loop that is restored in another
cluster finds its history.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class StoreLayout:
    """Addresses of one loop.

    Args:
        store_uri: root that all loops share, such as `s3://bucket/driftloop`.
        namespace: of the ModelLoop.
        name: of the ModelLoop.
    """

    store_uri: str
    namespace: str
    name: str

    @property
    def root(self) -> str:
        """Everything of the loop, and what the pipeline gets as `store_uri`: Bentos lie at `<root>/bentos/<digest>`."""
        return f"{self.store_uri.rstrip('/')}/loops/{self.namespace}/{self.name}"

    @property
    def uid(self) -> str:
        """The loop's identity, made once: part of run keys and of the names of drift reports."""
        return f"{self.root}/uid"

    @property
    def ledger(self) -> str:
        """Folder of the ledger: one create-only object an entry, `0000000001.json` onwards."""
        return f"{self.root}/ledger"

    @property
    def log(self) -> str:
        """The prediction log: the files of `predictionlog.segments`, under the same names."""
        return f"{self.root}/log"

    @property
    def monitor(self) -> str:
        """Folder of the monitor: `manifests/`, `verdicts/`, `reports/` and `state.json`."""
        return f"{self.root}/monitor"

    @property
    def baselines(self) -> str:
        """One folder a model version: what its traffic is compared with."""
        return f"{self.root}/baselines"

    @property
    def notices(self) -> str:
        """One empty object for everything that people were told: nothing is told twice."""
        return f"{self.root}/notices"

    def result(self, run_key: str) -> str:
        """Where a run's result is written, once."""
        return f"{self.root}/runs/{run_key}/result.json"

    def training_rows(self, run_key: str) -> str:
        """Which logged rows a retraining learns from, written once: what `collect` makes its table of."""
        return f"{self.root}/data/{run_key}.log.json"

    @property
    def requests(self) -> str:
        """Folder of the requests that a schedule files: one create-only `<id>.json` each (`loop.requests.Request`)."""
        return f"{self.root}/requests"

    def upload(self, digest: str, file_name: str) -> str:
        """Where `driftloop deploy` puts a local file, by the SHA-256 of its content."""
        return f"{self.root}/uploads/{digest}/{file_name}"
