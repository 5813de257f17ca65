"""Binds an approval to the person who gives it: an admission policy of the API server, without a webhook.

A plain annotation says nothing about who wrote it. This policy lets `driftloop.dev/approve` change only to
`<run key>@<user>` where `<user>` is the one whom the API server authenticated, and only if that user may `approve` this
ModelLoop: a verb of RBAC that stands for nothing else (Kubernetes documentation, "Validating Admission Policy").
"""

from typing import Any

from driftloop.spec.modelloop import API_GROUP
from driftloop.workload.crd import VERSION
from driftloop.workload.kinds import kind_of
from driftloop.workload.names import APPROVE_ANNOTATION

NAME = "driftloop-approvals"
APPROVE_VERB = "approve"
KEY_PATTERN = "^(sha256:)?[0-9a-f]{12,64}$"
_PLURAL = kind_of("ModelLoop").plural


def approval_policy() -> dict[str, Any]:
    """Return the ValidatingAdmissionPolicy."""
    forged = (
        f"'{APPROVE_ANNOTATION} must be the run key or digest of the challenger, then @' + request.userInfo.username"
        " + ': approve in your own name. Got ' + variables.asked"
    )
    not_allowed = (
        f"request.userInfo.username + ' must have the verb {APPROVE_VERB} on {_PLURAL}.{API_GROUP} to approve '"
        " + request.name + ' in namespace ' + request.namespace + '. A Role grants it.'"
    )
    return {
        "apiVersion": kind_of("ValidatingAdmissionPolicy").api_version,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [API_GROUP],
                        "apiVersions": [VERSION],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [_PLURAL],
                    }
                ]
            },
            "variables": [
                {"name": "asked", "expression": _value_in("object")},
                {"name": "before", "expression": f"oldObject == null ? '' : ({_value_in('oldObject')})"},
                {
                    "name": "isUntouched",
                    "expression": "variables.asked == variables.before || variables.asked == ''",
                },
                {"name": "key", "expression": "variables.asked.split('@')[0]"},
            ],
            "validations": [
                {
                    "expression": f"variables.isUntouched || (variables.key.matches('{KEY_PATTERN}')"
                    " && variables.asked == variables.key + '@' + request.userInfo.username)",
                    "messageExpression": forged,
                    "reason": "Invalid",
                },
                {
                    "expression": f"variables.isUntouched || authorizer.group('{API_GROUP}').resource('{_PLURAL}')"
                    f".namespace(request.namespace).name(request.name).check('{APPROVE_VERB}').allowed()",
                    "messageExpression": not_allowed,
                    "reason": "Forbidden",
                },
            ],
            "auditAnnotations": [
                {
                    "key": "approval",
                    "valueExpression": "variables.isUntouched ? '' : string(variables.asked)",
                }
            ],
        },
    }


def approval_policy_binding() -> dict[str, Any]:
    """Return the binding that puts the policy into force in every namespace."""
    return {
        "apiVersion": kind_of("ValidatingAdmissionPolicyBinding").api_version,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME, "validationActions": ["Deny"]},
    }


def _value_in(subject: str) -> str:
    """Return the CEL expression for the annotation's value; empty text where there is none."""
    annotations = f"{subject}.metadata.annotations"
    return f"has({annotations}) && '{APPROVE_ANNOTATION}' in {annotations} ? {annotations}['{APPROVE_ANNOTATION}'] : ''"
