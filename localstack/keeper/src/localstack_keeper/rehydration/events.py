"""EventBridge: rules fire, on patterns and schedules."""

from localstack.aws.api.events import ReplayState
from localstack.services.events.api_destination import APIDestinationService
from localstack.services.events.archive import ArchiveService
from localstack.services.events.connection import ConnectionService
from localstack.services.events.event_bus import EventBusService
from localstack.services.events.models import EventsStore, Rule, events_stores
from localstack.services.events.replay import ReplayService
from localstack.services.events.rule import RuleService

from localstack_keeper.rehydration import RESTARTED_ERROR, Provider


def rehydrate(provider: Provider) -> None:
    """Make all objects that do what the stored ones say."""
    for _, _, store in events_stores.iter_stores():
        _rehydrate_connections(provider, store)
        for bus in store.event_buses.values():
            provider._event_bus_services_store[bus.arn] = EventBusService(bus)  # noqa: SLF001
            for rule in bus.rules.values():
                _rehydrate_rule(provider, rule)
        for archive in store.archives.values():
            made = archive.creation_time
            provider._archive_service_store[archive.arn] = ArchiveService(archive)  # noqa: SLF001
            archive.creation_time = made
        for replay in store.replays.values():
            if replay.state in (ReplayState.STARTING, ReplayState.RUNNING, ReplayState.CANCELLING):
                replay.state, replay.state_reason = ReplayState.FAILED, RESTARTED_ERROR
            service = ReplayService.__new__(ReplayService)
            service.replay = replay
            provider._replay_service_store[replay.arn] = service  # noqa: SLF001


def _rehydrate_rule(provider: Provider, rule: Rule) -> None:
    service = RuleService(rule)
    provider._rule_services_store[rule.arn] = service  # noqa: SLF001
    for target in rule.targets.values():
        provider.create_target_sender(target, rule.arn, rule.name, rule.region, rule.account_id)
    if rule.targets and service.schedule_cron:
        service.create_schedule_job(
            provider._get_scheduled_rule_job_function(rule.account_id, rule.region, rule)  # noqa: SLF001
        )


def _rehydrate_connections(provider: Provider, store: EventsStore) -> None:
    for connection in store.connections.values():
        provider._connection_service_store[connection.arn] = (  # noqa: SLF001
            ConnectionService.restore_from_connection(connection)
        )
    by_arn = {connection.arn: connection for connection in store.connections.values()}
    for destination in store.api_destinations.values():
        if destination.connection_arn in by_arn:
            provider._api_destination_service_store[destination.arn] = (  # noqa: SLF001
                APIDestinationService.restore_from_api_destination_and_connection(
                    destination, by_arn[destination.connection_arn]
                )
            )
