"""What `driftloop doctor --context` looks at: API server, definitions, operator, approvals, rights, namespace, loops.

Each check returns findings and changes nothing. What this user may not see is a note, not a fault.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from driftloop import __version__
from driftloop.cli.checkup import Finding, State
from driftloop.cli.clusterloop import Place, UnknownKindError
from driftloop.cli.clusterstatus import conditions_of
from driftloop.spec.modelloop import API_GROUP
from driftloop.workload.names import OPERATOR_LABELS, OPERATOR_LEASE

if TYPE_CHECKING:
    from driftloop.adapters.kubeapi import KubeApi
    from driftloop.spec import ModelLoop

LEAST_VERSION = (1, 29)
"""The monitor is a native sidecar, on by default from here on."""
POLICY_VERSION = (1, 30)
"""ValidatingAdmissionPolicy is served as v1 from here on."""
POD_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"
USER_RIGHTS = tuple(
    [(verb, "modelloops") for verb in ("get", "list", "create", "patch", "delete")]
    + [(verb, "driftreports") for verb in ("get", "list")]
)
"""(verb, resource) that the commands need."""
STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_VERSION_LABEL = "app.kubernetes.io/version"
_SETTING = "DRIFTLOOP_OPERATOR_"
_INSTALL = "Install it with the chart: helm install driftloop helm/driftloop --set store.uri=s3://BUCKET/driftloop"
_STALE_DURATIONS = 4


def check_cluster(place: Place, loop: "ModelLoop | None", now: datetime) -> Iterator[Finding]:
    """Look at a cluster, and at what one loop needs of it.

    Args:
        place: cluster and namespace.
        loop: that shall run there; None looks at the namespace as it is.
        now: by this machine's clock.
    """
    from driftloop.adapters.kubeapi import ApiUnavailableError

    api, namespace = place.api, place.namespace
    try:
        version = api.version()
    except ApiUnavailableError as error:
        yield Finding("API server", State.FAULT, str(error), "Check the context: kubectl config get-contexts")
        return
    yield _check_version(api, version)
    yield from _seen("custom resources", lambda: _check_definitions(api))
    operators: list[dict[str, Any]] = []
    yield from _seen("operator", lambda: _check_operator(api, operators, now))
    yield from _seen("approvals", lambda: _check_approvals(api, version))
    yield from _seen("your rights", lambda: _check_rights(api, namespace))
    settings = _settings(operators[0]) if operators else {}
    if operators:
        yield from _seen("Kubeflow", lambda: _check_kubeflow(api, settings, is_needed=_runs_on_kubeflow(loop)))
        secret = settings.get("PLATFORM__STORE__SECRET_NAME", "")
        yield from _seen("store secret", lambda: _check_store_secret(api, namespace, secret))
    yield from _seen("namespace", lambda: _check_namespace(api, namespace, settings))
    if loop and loop.spec.data.secret_ref:
        name = loop.spec.data.secret_ref.name
        yield from _seen("data secret", lambda: _check_data_secret(api, namespace, name))
    yield from _seen("loops", lambda: _check_loops(place, loop))


def _seen(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Turn what this user may not look at, or what went away meanwhile, into a finding."""
    from driftloop.adapters.kubeapi import ApiUnavailableError, RejectedError

    try:
        yield from check()
    except RejectedError as error:
        yield Finding(
            subject, State.NOTE, f"not looked at: {error.message}", "Ask an administrator to run this command."
        )
    except ApiUnavailableError as error:
        yield Finding(subject, State.FAULT, str(error))


def _check_version(api: "KubeApi", version: tuple[int, int]) -> Finding:
    told, least = (".".join(map(str, one)) for one in (version, LEAST_VERSION))
    if version < LEAST_VERSION:
        remedy = f"Upgrade it to {least} or newer: the monitor is a native sidecar."
        return Finding("API server", State.FAULT, f"Kubernetes {told} at {api.host}", remedy)
    return Finding("API server", State.OK, f"Kubernetes {told} at {api.host}")


def _check_definitions(api: "KubeApi") -> Iterator[Finding]:
    from driftloop.workload.crd import driftreport_crd, modelloop_crd

    install = "driftloop crd | kubectl apply --server-side -f -"
    for ours in (modelloop_crd(), driftreport_crd()):
        name = ours["metadata"]["name"]
        theirs = api.get("CustomResourceDefinition", None, name)
        if theirs is None:
            yield Finding(f"CRD {name}", State.FAULT, "not installed", f"Install driftloop, or: {install}")
        elif _schemas(theirs) != _schemas(ours):
            version = (theirs["metadata"].get("labels") or {}).get(_VERSION_LABEL, "another version")
            message = f"of {version}, not of this command's {__version__}"
            yield Finding(f"CRD {name}", State.NOTE, message, f"Take the same version, or upgrade the CRDs: {install}")
        else:
            yield Finding(f"CRD {name}", State.OK, f"installed, of this version ({__version__})")


def _schemas(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {version["name"]: version["schema"]["openAPIV3Schema"] for version in definition["spec"]["versions"]}


def _check_operator(api: "KubeApi", found: list[dict[str, Any]], now: datetime) -> Iterator[Finding]:
    """Look for the operator; leaves its Deployments in `found`."""
    found += api.list("Deployment", None, OPERATOR_LABELS)
    if not found:
        yield Finding("operator", State.FAULT, "there is none in this cluster", _INSTALL)
    if len(found) > 1:
        places = ", ".join(_name(one) for one in found)
        remedy = "One decides, the others stay idle or fight for the loops' ledgers: uninstall all but one."
        yield Finding("operator", State.NOTE, f"there are {len(found)}: {places}", remedy)
    for deployment in found:
        yield _check_deployment(deployment)
        yield _check_lease(api, deployment["metadata"]["namespace"], now)


def _check_deployment(deployment: dict[str, Any]) -> Finding:
    name, namespace = _name(deployment), deployment["metadata"]["namespace"]
    if not deployment.get("status", {}).get("availableReplicas"):
        remedy = f"See: kubectl -n {namespace} describe pods -l app.kubernetes.io/component=operator"
        return Finding("operator", State.FAULT, f"{name} has no pod that is ready", remedy)
    version = (deployment["metadata"].get("labels") or {}).get(_VERSION_LABEL, __version__)
    if version != __version__:
        message = f"{name} is ready, and of version {version}; this command is of {__version__}"
        return Finding("operator", State.NOTE, message, f"Take the same: pip install driftloop=={version}")
    return Finding("operator", State.OK, f"{name} is ready, version {version}")


def _check_lease(api: "KubeApi", namespace: str, now: datetime) -> Finding:
    remedy = f"See: kubectl -n {namespace} logs -l app.kubernetes.io/component=operator"
    lease = api.get("Lease", namespace, OPERATOR_LEASE)
    spec = (lease or {}).get("spec", {})
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return Finding("operator lease", State.FAULT, "nobody holds it: no operator acts", remedy)
    age = (now - datetime.fromisoformat(spec["renewTime"])).total_seconds()
    if age > _STALE_DURATIONS * spec.get("leaseDurationSeconds", 15):
        message = f"{spec['holderIdentity']} renewed it {age:,.0f} s ago, by this machine's clock"
        return Finding("operator lease", State.FAULT, message, remedy)
    return Finding("operator lease", State.OK, f"held by {spec['holderIdentity']}")


def _check_approvals(api: "KubeApi", version: tuple[int, int]) -> Iterator[Finding]:
    from driftloop.workload.approvalpolicy import NAME

    open_to_all = "whoever may patch a loop may approve its models, under any name"
    if version < POLICY_VERSION:
        wanted = ".".join(map(str, POLICY_VERSION))
        yield Finding("approvals", State.NOTE, open_to_all, f"Kubernetes {wanted} and newer bind them to the person.")
        return
    kinds = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    missing = [kind for kind in kinds if api.get(kind, None, NAME) is None]
    if missing:
        remedy = "The chart installs it; without the chart: driftloop crd --policy | kubectl apply --server-side -f -"
        yield Finding("approvals", State.NOTE, f"no {' and no '.join(missing)} '{NAME}': {open_to_all}", remedy)
    else:
        yield Finding("approvals", State.OK, "bound to the person who gives them")


def _check_rights(api: "KubeApi", namespace: str) -> Iterator[Finding]:
    user = api.user_name()
    missing = [
        f"{verb} {what}" for verb, what in USER_RIGHTS if not api.review_access(verb, API_GROUP, what, namespace)
    ]
    if missing:
        remedy = (
            f"An administrator grants it: kubectl create rolebinding driftloop-editor-{namespace} -n {namespace} "
            f"--clusterrole driftloop-loop-editor --user '{user}'"
        )
        yield Finding("your rights", State.NOTE, f"{user} may not {', '.join(missing)} in '{namespace}'", remedy)
        return
    may = "may" if api.review_access("approve", API_GROUP, "modelloops", namespace) else "may not"
    yield Finding("your rights", State.OK, f"{user} may drive the loops of '{namespace}', and {may} approve models")


def _settings(deployment: dict[str, Any]) -> dict[str, str]:
    """Return the operator's settings by name without the prefix, as far as they stand in its Deployment."""
    [container, *_] = deployment["spec"]["template"]["spec"]["containers"]
    return {
        entry["name"].removeprefix(_SETTING): entry.get("value", "")
        for entry in container.get("env") or ()
        if entry["name"].startswith(_SETTING)
    }


def _runs_on_kubeflow(loop: "ModelLoop | None") -> bool:
    return loop is not None and loop.spec.pipeline.runner == "Kubeflow"


def _check_kubeflow(api: "KubeApi", settings: Mapping[str, str], *, is_needed: bool) -> Iterator[Finding]:
    ill = State.FAULT if is_needed else State.NOTE
    url = settings.get("KUBEFLOW_URL", "")
    if not url:
        remedy = "Set the chart's value kubeflow.url, or the loop's spec.pipeline.runner: Job"
        yield Finding("Kubeflow", ill, "the operator knows of none: loops need the runner Job", remedy)
        return
    name, _, rest = (urlsplit(url).hostname or "").partition(".")
    namespace, _, domain = rest.partition(".")
    if not namespace or domain not in ("", "svc", "svc.cluster.local"):
        yield Finding("Kubeflow", State.OK, f"at {url}, outside the cluster; not looked at")
    elif api.get("Service", namespace, name) is None:
        remedy = "Correct the chart's value kubeflow.url, or install Kubeflow Pipelines."
        yield Finding("Kubeflow", ill, f"there is no Service '{name}' in the namespace '{namespace}' ({url})", remedy)
    elif not _has_endpoints(api, namespace, name):
        yield Finding("Kubeflow", ill, f"no pod behind {url} is ready", f"See: kubectl -n {namespace} get pods")
    else:
        yield Finding("Kubeflow", State.OK, f"pods behind {url} are ready")


def _has_endpoints(api: "KubeApi", namespace: str, service: str) -> bool:
    slices = api.list("EndpointSlice", namespace, {"kubernetes.io/service-name": service})
    return any(
        endpoint.get("conditions", {}).get("ready", True) for one in slices for endpoint in one.get("endpoints") or ()
    )


def _check_store_secret(api: "KubeApi", namespace: str, name: str) -> Iterator[Finding]:
    if not name:
        yield Finding("store secret", State.OK, "none is configured: the pods' service accounts have the right")
        return
    secret = api.get("Secret", namespace, name)
    missing = [key for key in STORE_KEYS if key not in ((secret or {}).get("data") or {})]
    if missing:
        what = f"lacks {', '.join(missing)}" if secret else "is not there"
        remedy = (
            f"Make it: kubectl -n {namespace} create secret generic {name} "
            f"{' '.join(f'--from-literal={key}=...' for key in STORE_KEYS)}"
        )
        yield Finding("store secret", State.FAULT, f"the Secret '{namespace}/{name}' {what}", remedy)
    else:
        yield Finding("store secret", State.OK, f"the Secret '{namespace}/{name}' is there")


def _check_data_secret(api: "KubeApi", namespace: str, name: str) -> Iterator[Finding]:
    if api.get("Secret", namespace, name):
        yield Finding("data secret", State.OK, f"the Secret '{namespace}/{name}' is there")
    else:
        remedy = f"Make it, or correct data.secretRef: kubectl -n {namespace} create secret generic {name} ..."
        yield Finding("data secret", State.FAULT, f"the Secret '{namespace}/{name}' is not there", remedy)


def _check_namespace(api: "KubeApi", namespace: str, settings: Mapping[str, str]) -> Iterator[Finding]:
    import json

    found = api.get("Namespace", None, namespace)
    if found is None:
        yield Finding("namespace", State.FAULT, f"'{namespace}' is not there", f"kubectl create namespace {namespace}")
        return
    watched = json.loads(settings.get("WATCH_NAMESPACES") or "[]")
    if watched and namespace not in watched:
        message = f"the operator watches {', '.join(watched)} only, not '{namespace}'"
        yield Finding("namespace", State.FAULT, message, "Add it to the chart's value watchNamespaces.")
    level = (found["metadata"].get("labels") or {}).get(POD_SECURITY_LABEL)
    if level == "restricted":
        yield Finding("namespace", State.OK, f"'{namespace}' holds its pods to the restricted standard")
    else:
        remedy = f"driftloop's pods all fit: kubectl label namespace {namespace} {POD_SECURITY_LABEL}=restricted"
        told = f"holds its pods to the standard '{level}'" if level else "holds its pods to no security standard"
        yield Finding("namespace", State.NOTE, f"'{namespace}' {told}", remedy)


def _check_loops(place: Place, wanted: "ModelLoop | None") -> Iterator[Finding]:
    try:
        loops = place.loops(None)
    except UnknownKindError:  # told where the definitions are looked at
        return
    for loop in loops:
        name = loop["metadata"]["name"]
        ill = State.FAULT if wanted and wanted.metadata.name == name else State.NOTE
        remedy = f"See: driftloop why {name} -n {place.namespace}"
        conditions = conditions_of(loop)
        ready, stalled = conditions.get("Ready"), conditions.get("Stalled")
        if loop["metadata"].get("deletionTimestamp"):
            yield Finding(f"loop {name}", ill, "in deletion; the operator cleans up", remedy)
        elif ready is None:
            yield Finding(f"loop {name}", ill, "no operator has looked at it", remedy)
        elif stalled and stalled["status"] == "True":
            yield Finding(f"loop {name}", ill, f"stalled: {stalled.get('message') or stalled['reason']}", remedy)
        elif ready["status"] == "True":
            yield Finding(f"loop {name}", State.OK, "ready")
        else:
            yield Finding(f"loop {name}", State.NOTE, ready.get("message") or ready["reason"], remedy)


def _name(obj: Mapping[str, Any]) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
