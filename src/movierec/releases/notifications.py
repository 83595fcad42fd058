"""Notifications of a release's start and end, each sent at least once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from movierec.model import encoding
from movierec.releases import log
from movierec.releases.evaluation import sentence
from movierec.releases.log import Step, StepName
from movierec.releases.registry import Releases

TITLES: Final[Mapping[StepName, str]] = {
    "start": "started",
    "promote": "promoted",
    "rollback": "rolled back",
    "abort": "aborted",
}
"""The steps that are notified, and their words in the subject."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message: subject and text of a mail, and the link to the release's report."""

    release_id: str
    event: StepName
    subject: str
    """At most 100 characters of ASCII: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
    text: str
    link: str

    @property
    def attributes(self) -> dict[str, str]:
        """Return the message attributes, for subscribed programs."""
        return {"release_id": self.release_id, "event": self.event, "link": self.link}


def record_key(release_id: str, event: str, channel: str) -> str:
    """Return the key of the record that a notification reached a channel ("sns", "slack")."""
    return f"{log.folder(release_id)}notices/{event}-{channel}.json"


def announce(releases: Releases, release_id: str) -> None:
    """Publish a release's notifications that have no record yet. Raises UnavailableError."""
    link = releases.link(log.page_key(release_id))
    for each in notifications_of(releases.log.steps(release_id, holds=False), link):
        key = record_key(release_id, each.event, "sns")
        if key not in releases.store.keys(key):
            message = releases.topic.publish(each.subject, each.text, each.attributes)
            releases.store.put(key, encoding.dump_json({"message_id": message}))


def notifications_of(steps: Sequence[Step], link: str) -> tuple[Notification, ...]:
    """Return the notifications of a release's steps, in order; each event once."""
    known: dict[StepName, Notification] = {}
    for step in steps:
        if step.name in TITLES and step.name not in known:
            known[step.name] = _notification(step, link)
    return tuple(known.values())


def _notification(step: Step, link: str) -> Notification:
    subject = f"movierec release {step.release_id} {TITLES[step.name]}"
    lines = [
        f"{subject}: {step.reason}" if step.reason else subject,
        f"model {step.model_version or 'not chosen yet'}, version {step.version or 'not cut yet'}",
        *([sentence(found)] if (found := step.facts.get("evaluation")) else []),
        link,
    ]
    return Notification(step.release_id, step.name, subject[:100], "\n".join(lines), link)
