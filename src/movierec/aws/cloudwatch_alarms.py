"""The alarms on a canary's version, created for its release from Terraform's template.

Terraform owns their metrics, thresholds and actions (MOVIEREC_CANARY_ALARMS); only the version is
filled in here: it is not known before it is published, so Terraform cannot create them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from movierec import settings
from movierec.aws.session import client, translated
from movierec.errors import ConfigError, MetricsError, ReleaseError
from movierec.releases.alarm_states import Alarm, AlarmState

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_cloudwatch.client import CloudWatchClient

_PLACE: Final = "{version}"

_VERSION_IN_NAME: Final = re.compile(r".*-canary-(\d+)-[a-z]+")


def version_in(alarm_name: str) -> str | None:
    """Return the version in a canary alarm's name, None for any other alarm."""
    match = _VERSION_IN_NAME.fullmatch(alarm_name)
    return match[1] if match else None


@dataclass(slots=True)
class CloudWatchAlarms:
    """`movierec.releases.ports.CanaryAlarms` on CloudWatch.

    `template` maps an alarm's kind to the arguments of PutMetricAlarm, with `{version}` in names
    and dimensions; `enable_missing_data` puts the kind "silent".
    """

    template: Mapping[str, Mapping[str, Any]]
    aws: "CloudWatchClient" = field(default_factory=lambda: client("cloudwatch"))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the template. Raises ConfigError."""
        text = settings.require(env, settings.CANARY_ALARMS)
        try:
            template = json.loads(text)
        except ValueError as exc:
            raise ConfigError(
                f"{settings.CANARY_ALARMS} is no JSON ({exc}): apply Terraform"
            ) from exc
        return cls(template)

    def create(self, version: str) -> None:
        """Create the alarms of a version that is about to get its first requests."""
        for kind in self.template:
            if kind != _SILENT:
                self._put(kind, version)

    def enable_missing_data(self, version: str) -> None:
        """Treat missing data as breaching, once a version has had requests for a while."""
        if _SILENT in self.template:
            self._put(_SILENT, version)

    def delete(self, version: str) -> None:
        """Delete a version's alarms."""
        names = [self._filled(kind, version)["AlarmName"] for kind in self.template]
        with self._errors("delete", version):
            self.aws.delete_alarms(AlarmNames=names)

    def _put(self, kind: str, version: str) -> None:
        with self._errors("put", version):
            self.aws.put_metric_alarm(**self._filled(kind, version))

    def _filled(self, kind: str, version: str) -> dict[str, Any]:
        filled: dict[str, Any] = json.loads(
            json.dumps(self.template[kind]).replace(_PLACE, version)
        )
        return filled

    def _errors(self, what: str, version: str) -> Any:  # noqa: ANN401  a context manager
        return translated(f"{what} the alarms of version {version}", {}, ReleaseError)


_SILENT: Final = "silent"


class NullAlarms:
    """No alarms, for releases by hand without Terraform's template."""

    def create(self, version: str) -> None:
        """Do nothing."""

    def enable_missing_data(self, version: str) -> None:
        """Do nothing."""

    def delete(self, version: str) -> None:
        """Do nothing."""


_STATES: Final[Mapping[str, AlarmState]] = {"OK": "ok", "ALARM": "alarm"}

# Terraform names the API's function and every alarm with the same prefix.
_FUNCTION_SUFFIX: Final = "-api"


@dataclass(slots=True)
class CloudWatchAlarmStates:
    """`releases.alarm_states.AlarmStates` on CloudWatch: alarms whose names begin with `prefix`.

    It needs the permission `cloudwatch:DescribeAlarms`.
    """

    prefix: str
    aws: "CloudWatchClient" = field(default_factory=lambda: client("cloudwatch"))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the prefix from the name of the API's function. Raises ConfigError."""
        return cls(settings.require(env, settings.API_FUNCTION).removesuffix(_FUNCTION_SUFFIX))

    def alarms(self) -> Sequence[Alarm]:
        """Return the alarms by name."""
        with translated(f"describe the alarms {self.prefix}-*", {}, MetricsError):
            pages = self.aws.get_paginator("describe_alarms").paginate(
                AlarmNamePrefix=f"{self.prefix}-", AlarmTypes=["MetricAlarm"]
            )
            found = [alarm for page in pages for alarm in page["MetricAlarms"]]
        return sorted((_alarm(each) for each in found), key=lambda alarm: alarm.name)


def _alarm(found: Mapping[str, Any]) -> Alarm:
    return Alarm(
        found["AlarmName"],
        _STATES.get(found["StateValue"], "no data"),
        found.get("AlarmDescription", ""),
        found.get("StateReason", ""),
        found["StateUpdatedTimestamp"],
    )
