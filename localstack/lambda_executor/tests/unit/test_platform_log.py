import json
from dataclasses import replace

from lambda_process_executor.platform_log import Json, Report, SystemLevel, Text, timestamp

WARM = Report(duration_ms=3.524, memory_size_mb=128, max_memory_used_mb=36)


def test_the_text_lines_are_aws_own() -> None:
    log = Text()
    assert log.start("r1", "$LATEST") == "START RequestId: r1 Version: $LATEST\n"
    assert log.end("r1", WARM) == "END RequestId: r1\n"
    assert log.report("r1", WARM) == (
        "REPORT RequestId: r1\tDuration: 3.52 ms\tBilled Duration: 4 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 36 MB\t\n"
    )


def test_a_cold_start_reports_and_bills_its_init() -> None:
    line = Text().report("r1", Report(3.5, 128, 36, init_duration_ms=100.25))
    assert "Billed Duration: 104 ms" in line
    assert "Init Duration: 100.25 ms" in line


def test_a_failure_reports_status_and_type_and_a_timeout_no_type() -> None:
    failed = Report(3.5, 128, 36, status="error", error_type="Runtime.ExitError")
    late = Report(3000, 128, 36, status="timeout", error_type="Sandbox.Timedout")
    assert "Status: error\tError Type: Runtime.ExitError" in Text().report("r1", failed)
    assert Text().report("r1", late).endswith("Status: timeout\t\n")


def test_a_failed_init_says_in_which_phase() -> None:
    line = Text().init_report(95.31, "init", "error", "Runtime.ImportModuleError")
    assert line == (
        "INIT_REPORT Init Duration: 95.31 ms\tPhase: init\tStatus: error\t"
        "Error Type: Runtime.ImportModuleError\n"
    )


def test_json_lines_are_platform_events() -> None:
    log = Json(lambda: 1.5)
    text = log.init_start("python:3.13", "arn:r") + log.start("r1", "2") + log.report("r1", WARM)
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["type"] for event in events] == [
        "platform.initStart",
        "platform.start",
        "platform.report",
    ]
    assert {event["time"] for event in events} == {"1970-01-01T00:00:01.500Z"}
    assert events[2]["record"]["metrics"]["billedDurationMs"] == 4


LATE = replace(WARM, status="timeout", error_type="Sandbox.Timedout")


def kinds(level: SystemLevel, report: Report, initialisation: str = "on-demand") -> list[str]:
    """Return which events one cold invocation leaves in the log."""
    log = Json(lambda: 1.5, level=level, initialisation=initialisation)
    text = "".join(
        [
            log.init_start("python:3.13", "arn:r"),
            log.init_report(9.5, "init", report.status, report.error_type),
            log.start("r1", "2"),
            log.end("r1", report),
            log.report("r1", report),
        ]
    )
    return [json.loads(line)["type"].removeprefix("platform.") for line in text.splitlines()]


def test_the_system_log_level_says_which_events_there_are() -> None:
    everything = ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"]
    failures = ["initRuntimeDone", "initReport", "runtimeDone", "report"]
    assert kinds("DEBUG", WARM) == kinds("INFO", LATE) == everything
    assert kinds("INFO", WARM) == ["initStart", "start", "report"]
    assert kinds("WARN", WARM) == []
    assert kinds("WARN", LATE) == failures


def test_the_init_of_provisioned_concurrency_is_always_reported() -> None:
    assert "initReport" in kinds("INFO", WARM, "provisioned-concurrency")


def test_the_type_of_a_functions_own_error_is_in_the_json_report_alone() -> None:
    """Text tells what the platform ended; an exception it takes for the function's business."""
    report = Report(3.5, 128, 36, function_error_type="Function.Refused")
    record = json.loads(Json(lambda: 1.5).report("r1", report))["record"]
    assert (record["status"], record["errorType"]) == ("error", "Function.Refused")
    assert "Status" not in Text().report("r1", report)


def test_a_timestamp_has_milliseconds_and_is_utc() -> None:
    assert timestamp(0.0019) == "1970-01-01T00:00:00.001Z"
