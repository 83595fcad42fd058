r"""Platform log lines around a function's own output: START, END, REPORT and their relatives.

`Text` writes the classic START/END/REPORT lines, `Json` the platform events of Lambda's JSON log
format (AWS: "Lambda Telemetry API Event schema reference"). A line is returned with its newline.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args

Phase = Literal["init", "invoke"]
Status = Literal["success", "error", "timeout"]
SystemLevel = Literal["DEBUG", "INFO", "WARN"]
_LEVELS: Final[tuple[SystemLevel, ...]] = get_args(SystemLevel)


@dataclass(frozen=True, slots=True)
class Report:
    """What an invocation took. Durations in milliseconds, memory in MB of 2^20 bytes.

    `status` and `error_type` are the platform's; `function_error_type` is what the runtime reported
    of the handler's own error, in `Lambda-Runtime-Function-Error-Type`.
    """

    duration_ms: float
    memory_size_mb: int
    max_memory_used_mb: int
    init_duration_ms: float | None = None
    status: Status = "success"
    error_type: str = ""
    function_error_type: str = ""

    @property
    def outcome(self) -> Status:
        """How the invocation ended, by platform or handler."""
        return "error" if self.function_error_type else self.status

    @property
    def billed_duration_ms(self) -> int:
        """Whole milliseconds; since August 2025 AWS bills the init phase with the invocation."""
        return max(1, math.ceil(self.duration_ms + (self.init_duration_ms or 0)))


def timestamp(epoch_s: float) -> str:
    """Return a time as AWS's logs write it, UTC with milliseconds."""
    moment = datetime.fromtimestamp(epoch_s, UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


class Text:
    """The classic format."""

    def init_start(self, runtime: str, runtime_arn: str) -> str:
        """Say that a process is being started, and on which version of the runtime."""
        return f"INIT_START Runtime Version: {runtime}\tRuntime Version ARN: {runtime_arn}\n"

    def init_report(self, duration_ms: float, phase: Phase, status: Status, error_type: str) -> str:
        """Say that an init phase failed."""
        if status == "success":
            return ""
        tail = f"\tError Type: {error_type}" if status == "error" else ""
        return (
            f"INIT_REPORT Init Duration: {duration_ms:.2f} ms\tPhase: {phase}"
            f"\tStatus: {status}{tail}\n"
        )

    def start(self, request_id: str, version: str) -> str:
        """Say that an invocation begins."""
        return f"START RequestId: {request_id} Version: {version}\n"

    def end(self, request_id: str, report: Report) -> str:
        """Say that an invocation is over."""
        del report
        return f"END RequestId: {request_id}\n"

    def report(self, request_id: str, report: Report) -> str:
        """Say what an invocation took."""
        parts = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {report.duration_ms:.2f} ms",
            f"Billed Duration: {report.billed_duration_ms} ms",
            f"Memory Size: {report.memory_size_mb} MB",
            f"Max Memory Used: {report.max_memory_used_mb} MB",
        ]
        if report.init_duration_ms is not None:
            parts.append(f"Init Duration: {report.init_duration_ms:.2f} ms")
        if report.status != "success":
            parts.append(f"Status: {report.status}")
        if report.status == "error":
            parts.append(f"Error Type: {report.error_type}")
        return "\t".join(parts) + "\t\n"


class Json:
    """The platform events of the JSON format, from a level on; `now` is seconds since the epoch.

    Which event has which level: AWS, "Log-level filtering", system log level event mapping.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        level: SystemLevel = "INFO",
        initialisation: str = "on-demand",
    ) -> None:
        self._now = now
        self._least = _LEVELS.index(level)
        self._initialisation = initialisation

    def init_start(self, runtime: str, runtime_arn: str) -> str:
        """Say that a process is being started, and on which version of the runtime."""
        version = {"runtimeVersion": runtime, "runtimeVersionArn": runtime_arn}
        return self._init_event("INFO", "initStart", {"phase": "init", **version})

    def init_report(self, duration_ms: float, phase: Phase, status: Status, error_type: str) -> str:
        """Say how an init phase ended."""
        common = {"phase": phase, "status": status} | _error(error_type)
        metrics = {"metrics": {"durationMs": round(duration_ms, 3)}}
        done = _level(status)
        unasked = status == "success" and self._initialisation != "on-demand"
        reported: SystemLevel = "INFO" if unasked else done
        return self._init_event(done, "initRuntimeDone", common) + self._init_event(
            reported, "initReport", common | metrics
        )

    def start(self, request_id: str, version: str) -> str:
        """Say that an invocation begins."""
        return self._event("INFO", "start", {"requestId": request_id, "version": version})

    def end(self, request_id: str, report: Report) -> str:
        """Say that the runtime is done with an invocation."""
        metrics = {"durationMs": round(report.duration_ms, 3)}
        level, record = _level(report.outcome), _record(request_id, report, metrics)
        return self._event(level, "runtimeDone", record)

    def report(self, request_id: str, report: Report) -> str:
        """Say what an invocation took."""
        metrics: dict[str, float] = {
            "durationMs": round(report.duration_ms, 3),
            "billedDurationMs": report.billed_duration_ms,
            "memorySizeMB": report.memory_size_mb,
            "maxMemoryUsedMB": report.max_memory_used_mb,
        }
        if report.init_duration_ms is not None:
            metrics["initDurationMs"] = round(report.init_duration_ms, 3)
        level: SystemLevel = "INFO" if report.outcome == "success" else "WARN"
        return self._event(level, "report", _record(request_id, report, metrics))

    def _init_event(self, level: SystemLevel, kind: str, record: dict[str, object]) -> str:
        return self._event(level, kind, {"initializationType": self._initialisation, **record})

    def _event(self, level: SystemLevel, kind: str, record: dict[str, object]) -> str:
        if _LEVELS.index(level) < self._least:
            return ""
        event = {"time": timestamp(self._now()), "type": f"platform.{kind}", "record": record}
        return json.dumps(event) + "\n"


PlatformLog = Text | Json


def _level(status: Status) -> SystemLevel:
    return "DEBUG" if status == "success" else "WARN"


def _record(request_id: str, report: Report, metrics: dict[str, float]) -> dict[str, object]:
    record = {"requestId": request_id, "metrics": metrics, "status": report.outcome}
    return record | _error(report.error_type or report.function_error_type)


def _error(error_type: str) -> dict[str, object]:
    return {"errorType": error_type} if error_type else {}
