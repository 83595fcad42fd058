"""Publish to an SNS topic: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from movierec import settings
from movierec.aws.session import client, translated
from movierec.errors import ReleaseError

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_sns.client import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef


@dataclass(slots=True)
class SnsTopic:
    """`movierec.releases.ports.NotificationTopic` on SNS."""

    arn: str
    aws: "SNSClient" = field(default_factory=lambda: client("sns"))

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the topic that the environment names. Raises ConfigError."""
        return cls(settings.require(env, settings.RELEASES_TOPIC))

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> str:
        """Publish a message and return its id."""
        typed: dict[str, MessageAttributeValueTypeDef] = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        }
        with translated(f"publish to {self.arn}", {}, ReleaseError):
            answer = self.aws.publish(
                TopicArn=self.arn, Subject=subject, Message=text, MessageAttributes=typed
            )
        message_id: str = answer["MessageId"]
        return message_id
