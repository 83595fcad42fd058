"""CloudWatch: alarms are evaluated again."""

from localstack.services.cloudwatch.models import LocalStackMetricAlarm, cloudwatch_stores

from localstack_keeper.rehydration import Provider


def rehydrate(provider: Provider) -> None:
    """Schedule all alarms."""
    provider.alarm_scheduler.start()
    for _, _, store in cloudwatch_stores.iter_stores():
        for arn, alarm in store.alarms.items():
            if isinstance(alarm, LocalStackMetricAlarm):
                provider.alarm_scheduler.schedule_metric_alarm(arn)
