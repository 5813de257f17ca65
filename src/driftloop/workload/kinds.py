"""The kinds of Kubernetes objects that driftloop handles, and where the API server keeps each."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One kind in the version that driftloop speaks."""

    name: str
    api_version: str
    plural: str
    is_namespaced: bool = True

    @property
    def group(self) -> str:
        """Return the API group; empty for the core group, as in RBAC rules."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the address on the API server: of one object, or of all in a namespace or in the cluster.

        >>> kind_of("Lease").path("team", "iris-evaluator")
        '/apis/coordination.k8s.io/v1/namespaces/team/leases/iris-evaluator'
        >>> kind_of("Pod").path()
        '/api/v1/pods'
        """
        parts = ["/apis" if self.group else "/api", self.api_version]
        if self.is_namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/".join(part for part in [*parts, self.plural, name, subresource] if part)


_TABLE = (
    Kind("ModelLoop", "driftloop.dev/v1alpha1", "modelloops"),
    Kind("DriftReport", "driftloop.dev/v1alpha1", "driftreports"),
    Kind("Deployment", "apps/v1", "deployments"),
    Kind("ReplicaSet", "apps/v1", "replicasets"),
    Kind("Pod", "v1", "pods"),
    Kind("Service", "v1", "services"),
    Kind("ServiceAccount", "v1", "serviceaccounts"),
    Kind("ConfigMap", "v1", "configmaps"),
    Kind("Secret", "v1", "secrets"),
    Kind("Event", "v1", "events"),
    Kind("Namespace", "v1", "namespaces", is_namespaced=False),
    Kind("Role", "rbac.authorization.k8s.io/v1", "roles"),
    Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings"),
    Kind("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", is_namespaced=False),
    Kind("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings", is_namespaced=False),
    Kind("Lease", "coordination.k8s.io/v1", "leases"),
    Kind("Job", "batch/v1", "jobs"),
    Kind("CronJob", "batch/v1", "cronjobs"),
    Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
    Kind("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", is_namespaced=False),
    Kind(
        "ValidatingAdmissionPolicy",
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicies",
        is_namespaced=False,
    ),
    Kind(
        "ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicybindings",
        is_namespaced=False,
    ),
    Kind("ServiceMonitor", "monitoring.coreos.com/v1", "servicemonitors"),
)
KINDS = {kind.name: kind for kind in _TABLE}


def kind_of(named: str | dict[str, Any]) -> Kind:
    """Return the kind with a name, or of an object."""
    return KINDS[named if isinstance(named, str) else named["kind"]]
