"""The alarms on a canary's version: made for its release from Terraform's template.

Terraform owns what they watch for and whom they call (MOVIEREC_CANARY_ALARMS); only the version
is filled in here. A version is not known before it is published, so Terraform cannot make them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from movierec import settings
from movierec.aws.session import client, translated
from movierec.errors import ConfigError, ReleaseError

_PLACE: Final = "{version}"

_VERSION_IN_NAME: Final = re.compile(r".*-canary-(\d+)-[a-z]+")


def version_in(alarm_name: str) -> str | None:
    """Return the version that an alarm of ours watches, None for any other alarm."""
    match = _VERSION_IN_NAME.fullmatch(alarm_name)
    return match[1] if match else None


@dataclass(slots=True)
class CloudWatchAlarms:
    """`movierec.ports.CanaryAlarms` on CloudWatch.

    `template` maps an alarm's kind to the arguments of PutMetricAlarm, with `{version}` in names
    and dimensions; the kind "silent" is the one that data are expected of.
    """

    template: Mapping[str, Mapping[str, Any]]
    aws: Any = field(default_factory=lambda: client("cloudwatch"))

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
        """Watch a version that is about to get its first users."""
        for kind in self.template:
            if kind != _SILENT:
                self._put(kind, version)

    def enable_missing_data(self, version: str) -> None:
        """Also raise the alarm when a version that has had users for a while tells nothing."""
        if _SILENT in self.template:
            self._put(_SILENT, version)

    def delete(self, version: str) -> None:
        """Watch a version no more."""
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
    """No alarms: whoever releases by hand, without Terraform's template, watches the canary."""

    def create(self, version: str) -> None:
        """Do nothing."""

    def enable_missing_data(self, version: str) -> None:
        """Do nothing."""

    def delete(self, version: str) -> None:
        """Do nothing."""
