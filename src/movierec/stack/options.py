"""Options of a run, and the environment variables derived from them."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from movierec import settings
from movierec.lake.maintenance import Policy as UpkeepPolicy
from movierec.lake.plausible_times import PlausibleTimes
from movierec.model.rating_scale import RatingScale
from movierec.releases.policy import Policy
from movierec.stack import loopback_ports
from movierec.stack.deploy import terraform
from movierec.stack.layout import Run
from movierec.stack.processes import child_environment
from movierec.stack.services import kafka_broker
from movierec.taste.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is made of."""

    kafka_nodes: int = 1
    partitions: int = kafka_broker.DEFAULT_PARTITIONS
    topic: str = settings.DEFAULT_TOPIC
    listen: str = loopback_ports.HOST
    before_ingest: Callable[[], object] = bool
    """Called when the lake is there, before the first line is read: loads a catalog, say."""


def external_kafka(run: Run, inherited: Mapping[str, str]) -> str | None:
    """Return the cluster that the environment names, None if there is none but the run's own.

    In a shell that has the run's environment from `movierec env`, it names that.
    """
    named = inherited.get(settings.KAFKA_BOOTSTRAP, "")
    if inherited.get(settings.LAKE_BUCKET) and not loopback_ports.are_foreign(run, named):
        return None
    return named or None


UNKNOWN_CODE: Final = "unknown"

# What the functions must know of the site as well as the parts on this machine.
_OF_SITE: Final = (settings.MIN_RATING, settings.MAX_RATING, settings.EARLIEST_EVENT_TIME)

# What the user sets for the parts: where Kafka is, and what the site's lines may say.
_PASSED_ON: Final = ("MOVIEREC_KAFKA_", settings.MAX_USER_ID, settings.SITE_TIMEZONE, *_OF_SITE)


def variables(run: Run, inherited: Mapping[str, str], options: Options) -> dict[str, str]:
    """Return a run's environment, as far as it is known before anything is deployed."""
    ports = loopback_ports.ports(run)
    outputs = terraform.expected_outputs()
    given = {name: value for name, value in inherited.items() if name.startswith(_PASSED_ON)}
    return {
        **child_environment.emulated_aws(loopback_ports.url(ports[loopback_ports.EMULATOR])),
        settings.KAFKA_BOOTSTRAP: f"{loopback_ports.HOST}:{ports[loopback_ports.KAFKA]}",
        **given,
        settings.PROXY_URL: loopback_ports.url(ports[loopback_ports.PROXY]),
        settings.SITE_URL: _site_url(ports[loopback_ports.SITE], inherited),
        settings.INGEST_URL: loopback_ports.url(ports[loopback_ports.INGEST]),
        settings.TOPIC: options.topic,
        settings.LISTEN: options.listen,
        settings.LAKE_BUCKET: outputs["bucket_names"]["lake"],
        settings.ARTIFACTS_BUCKET: outputs["bucket_names"]["artifacts"],
        settings.STATE_MACHINE: outputs["state_machine_arn"],
        settings.BUILD_FUNCTION: outputs["function_names"]["build_dataset"],
        settings.RELEASE_MACHINE: outputs["release_machine_arn"],
        settings.RELEASES_TOPIC: outputs["releases_topic_arn"],
        settings.REFRESH_FUNCTION: outputs["refresh_function"],
        settings.CODE_VERSION: code_version(run.project.root),
    }


def _site_url(port: int, inherited: Mapping[str, str]) -> str:
    """Return the URL of the site that the user has, else that of the run's own simulator.

    In a shell with a run's environment from `movierec env`, a loopback address is a simulator's.
    """
    named = inherited.get(settings.SITE_URL, "").rstrip("/")
    of_a_run = inherited.get(settings.LAKE_BUCKET) and f"//{loopback_ports.HOST}:" in named
    return loopback_ports.url(port) if of_a_run or not named else named


def terraform_variables(
    inherited: Mapping[str, str], packages: Mapping[str, str], code_version: str
) -> dict[str, Any]:
    """Return Terraform's variables: each function's zip, and what the user's environment sets.

    Raises ConfigError for a policy that nothing could follow, and settings that exclude each other.
    """
    upkeep = UpkeepPolicy.from_env(inherited)
    releases = inherited.get(settings.RELEASE_POLICY) or "{}"
    Policy.from_env(inherited)
    RatingScale.from_env(inherited)
    PlausibleTimes.from_env(inherited)
    return {
        "package_paths": packages,
        "code_version": code_version,
        "site": {name: inherited[name] for name in _OF_SITE if inherited.get(name)},
        "watch_retention_days": upkeep.watch_retention_days,
        "vacuum_retention_hours": upkeep.vacuum_retention_hours,
        "release_policy": json.loads(releases),
        "slack_webhook": inherited.get(settings.SLACK_WEBHOOK, ""),
        "language_model": _language_model(inherited),
        "language_model_api_key": inherited.get(settings.LANGUAGE_MODEL_API_KEY, ""),
    }


def _language_model(inherited: Mapping[str, str]) -> dict[str, Any] | None:
    """Return Terraform's `language_model`, null for none. Raises ConfigError."""
    if LanguageModel.from_env(inherited) is None:
        return None
    given = {name: inherited.get(variable) for name, variable in _OF_LANGUAGE_MODEL.items()}
    # What is unset has its default from Terraform, which reads numbers from texts.
    return {name: value for name, value in given.items() if value}


_OF_LANGUAGE_MODEL: Final = {
    "url": settings.LANGUAGE_MODEL_URL,
    "name": settings.LANGUAGE_MODEL_NAME,
    "prompt_usd": settings.LANGUAGE_MODEL_PROMPT_USD,
    "completion_usd": settings.LANGUAGE_MODEL_COMPLETION_USD,
    "budget_usd": settings.LANGUAGE_MODEL_BUDGET_USD,
    "limit_s": settings.LANGUAGE_MODEL_LIMIT_S,
    "api_key_secret": settings.LANGUAGE_MODEL_API_KEY_SECRET,
}


def code_version(checkout: Path) -> str:
    """Return the short hash of the checked-out commit, with `-dirty` if files differ from it.

    `UNKNOWN_CODE` where there is no git, no repository, or no commit yet.
    """
    commit = _git(checkout, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return UNKNOWN_CODE
    return f"{commit}-dirty" if _git(checkout, "status", "--porcelain") else commit


def _git(checkout: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ("git", "-C", str(checkout), *arguments),
            # GIT_DIR and the like, which git exports to its hooks, would show another repository.
            env=child_environment.basic(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
