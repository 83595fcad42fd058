"""Messages to people, on an SNS topic: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from movierec import settings
from movierec.aws.session import client, translated
from movierec.errors import ReleaseError


@dataclass(slots=True)
class SnsTopic:
    """`movierec.ports.NoticeTopic` on a topic of SNS."""

    arn: str
    aws: Any = field(default_factory=lambda: client("sns"))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Take the topic that the environment names. Raises ConfigError."""
        return cls(settings.require(env, settings.RELEASES_TOPIC))

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> str:
        """Send a message to all who subscribed, and return its id."""
        typed = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        }
        with translated(f"publish to {self.arn}", {}, ReleaseError):
            answer = self.aws.publish(
                TopicArn=self.arn, Subject=subject, Message=text, MessageAttributes=typed
            )
        message_id: str = answer["MessageId"]
        return message_id
