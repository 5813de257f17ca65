"""What the platform gives every loop of a cluster: images and object store. The operator reads it from its settings."""

from typing import Annotated

from pydantic import Field

from driftloop.spec.boundary import Boundary


class Images(Boundary):
    """Container images by role, each with its tag or digest."""

    controller: str
    """Operator, and the init container that fetches Bentos."""
    monitor: str
    serving: str
    """What new models are packaged for; a champion keeps the image that its own manifest names."""
    pipeline: str
    """Steps of the pipelines."""
    pull_policy: Annotated[str, Field(pattern="^(Always|IfNotPresent|Never)$")] = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the loop's namespace."""


class Store(Boundary):
    """The object store that all loops share."""

    uri: Annotated[str, Field(min_length=1)]
    """Root, such as `s3://bucket/driftloop`."""
    endpoint_url: str = ""
    """Of an S3 server other than AWS, such as `http://seaweedfs.storage:8333`."""
    region: str = "us-east-1"
    secret_name: str = ""
    """Secret in each loop's namespace with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Empty: the pods' service
    account has the right, as on managed clusters."""


class Platform(Boundary):
    """Everything that builders need besides the loop itself."""

    images: Images
    store: Store
    flush_interval_seconds: Annotated[float, Field(gt=0)] = 300
    """Time between two commits of a monitor to the object store: what a lost node may cost."""
    service_monitors: bool = False
    """Whether every loop gets a ServiceMonitor, for the Prometheus Operator; a loop may ask for one by itself."""
    api_server_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (443, 6443, 8443, 16443)
    """Ports on which a monitor may reach the API server: a NetworkPolicy sees the address behind its Service."""
