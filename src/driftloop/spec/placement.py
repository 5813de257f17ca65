"""Where and with what pods run: resources, nodes, secrets, volumes. The few fields of a Kubernetes pod that loops set.

Parts of the ModelLoop's groups `pipeline` and `serving`. Field docstrings are the reference documentation.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from driftloop.spec.boundary import Boundary, RuleError

QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
SECRET_KEY_PATTERN = r"^[-._a-zA-Z0-9]+$"  # noqa: S105 (no password)
PATH_PATTERN = r"^/[^:]+$"


def _read_quantity(value: object) -> object:
    """Take `cpu: 2` as Kubernetes does."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Quantity = Annotated[str, Field(pattern=QUANTITY_PATTERN), BeforeValidator(_read_quantity)]
ObjectName = Annotated[str, Field(pattern=OBJECT_NAME_PATTERN, max_length=253)]


class ResourcesSpec(Boundary):
    """What a pod gets, as in a Kubernetes container."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    """Guaranteed amount of each resource, e.g. `{cpu: 250m, memory: 512Mi}`."""
    limits: dict[str, Quantity] = Field(default_factory=dict)
    """Most of each resource."""


class Toleration(Boundary):
    """A taint that pods put up with, as in a Kubernetes pod."""

    key: Annotated[str, Field(max_length=317)] = ""
    """Key of the taint. Empty: every key; operator must then be Exists."""
    operator: Annotated[Literal["Equal", "Exists"], Field(validate_default=True)] = "Equal"
    """How the taint's value is compared."""
    value: Annotated[str, Field(max_length=63)] = ""
    """Value of the taint; for Equal only."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Absent: every effect."""

    @field_validator("operator")
    @classmethod
    def _every_key_exists(cls, operator: str, info: ValidationInfo) -> str:
        if operator == "Equal" and not info.data.get("key"):
            raise RuleError("must be Exists where key is empty", remedy="Set key, or operator to Exists.")
        return operator

    @field_validator("value")
    @classmethod
    def _value_is_compared(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("operator") == "Exists":
            raise RuleError("must be left out where operator is Exists", remedy="Remove it, or set operator to Equal.")
        return value


class SecretKeyRef(Boundary):
    """One key of a Secret in the loop's namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: Annotated[str, Field(pattern=SECRET_KEY_PATTERN, max_length=253)]
    """Key in it."""
    optional: bool = False
    """Whether pods start without it."""


class EnvironmentVariable(Boundary):
    """An environment variable whose value a Secret holds."""

    name: Annotated[str, Field(pattern=VARIABLE_PATTERN, max_length=256)]
    """Name of the variable."""
    secret_key_ref: SecretKeyRef
    """Where its value is."""


class VolumeMount(Boundary):
    """A volume of the loop's namespace, and where pods see it."""

    claim_name: ObjectName
    """Name of the PersistentVolumeClaim."""
    mount_path: Annotated[str, Field(pattern=PATH_PATTERN, max_length=1024)]
    """Folder where its content appears."""
