"""The log of an invocation: in the answer, and in CloudWatch Logs."""

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Emulator

ECHO = "def handler(event, context):\n    return event\n"
REPORT = re.compile(
    r"REPORT RequestId: (?P<id>[0-9a-f-]{36})\tDuration: (?P<duration>\d+\.\d\d) ms\t"
    r"Billed Duration: (?P<billed>\d+) ms\tMemory Size: 256 MB\tMax Memory Used: (?P<used>\d+) MB\t"
    r"(Init Duration: (?P<init>\d+\.\d\d) ms\t)?"
)


def test_the_report_has_duration_memory_and_init(emulator: "Emulator") -> None:
    """START, END and REPORT; Init Duration in a cold start's report only, and billed with it.

    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """
    emulator.create("reported", ECHO)
    logs = [emulator.invoke("reported").log.splitlines() for _ in range(2)]
    assert [line.split()[0] for line in logs[0]] == ["INIT_START", "START", "END", "REPORT"]
    assert [line.split()[0] for line in logs[1]] == ["START", "END", "REPORT"]
    cold, warm = (REPORT.fullmatch(lines[-1]) for lines in logs)
    assert cold is not None
    assert warm is not None
    for report, lines in ((cold, logs[0]), (warm, logs[1])):
        assert f"START RequestId: {report['id']} Version: $LATEST" in lines
        assert f"END RequestId: {report['id']}" in lines
        ran_ms = float(report["duration"]) + float(report["init"] or 0)
        assert ran_ms <= int(report["billed"]) <= ran_ms + 1.01
        assert 5 < int(report["used"]) < 256
    assert cold["init"] is not None
    assert warm["init"] is None


def test_a_cold_start_names_its_runtime_version(emulator: "Emulator") -> None:
    """INIT_START has the version of the runtime, and the ARN that the configuration has too.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html
    """
    emulator.create("named-runtime", ECHO)
    first = emulator.invoke("named-runtime").log.splitlines()[0]
    client = emulator.client("lambda")
    found = client.get_function_configuration(FunctionName="named-runtime")
    arn = found["RuntimeVersionConfig"]["RuntimeVersionArn"]
    assert first == f"INIT_START Runtime Version: python:3.13\tRuntime Version ARN: {arn}"


def test_the_answer_has_the_log_s_last_four_kilobytes(emulator: "Emulator") -> None:
    """LogResult is the last 4 kB of the execution log, for callers who ask for LogType Tail.

    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    """
    emulator.create("chatty", "def handler(e, c):\n    print('x' * 100_000)\n")
    log = emulator.invoke("chatty").log
    assert len(log) == 4096
    assert log.splitlines()[-1].startswith("REPORT")
    untold = emulator.client("lambda").invoke(FunctionName="chatty")
    untold["Payload"].close()
    assert "LogResult" not in untold


def test_both_outputs_are_in_the_log_as_written(emulator: "Emulator") -> None:
    """Whatever a function writes to stdout or stderr is in its log, between START and END.

    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """
    code = (
        "import logging, sys\ndef handler(e, c):\n    print('héllo')\n"
        "    print('wrong', file=sys.stderr)\n    logging.getLogger().warning('careful')\n"
        "    print('no newline', end='')\n"
    )
    emulator.create("writing", code)
    emulator.invoke("writing")
    start, *lines, warning, last, end, _ = emulator.invoke("writing").log.splitlines()
    assert lines == ["héllo", "wrong"]
    assert re.fullmatch(r"\[WARNING\]\t[0-9T:.-]+Z\t[0-9a-f-]{36}\tcareful", warning)
    assert (last, start.split()[0], end.split()[0]) == ("no newline", "START", "END")


def test_output_that_is_no_utf8_is_replaced(emulator: "Emulator") -> None:
    """A log event's message is UTF-8 text.

    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """
    code = "import os\ndef handler(e, c):\n    os.write(1, b'a\\xff\\xfeb\\n')\n    return 'ok'\n"
    emulator.create("junk", code)
    answer = emulator.invoke("junk")
    assert answer.payload == "ok"
    assert "a\ufffd\ufffdb\n" in answer.log


def test_megabytes_of_output_arrive_whole(emulator: "Emulator") -> None:
    """All of the log is in CloudWatch Logs, however little of it fits into the answer.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """
    code = "def handler(e, c):\n    for n in range(e):\n        print(f'{n:06}', 'x' * 1000)\n"
    emulator.create("megabytes", code)
    assert emulator.invoke("megabytes", 3000).error is None

    def lines() -> list[str]:
        found = emulator.messages("/aws/lambda/megabytes")
        return [line[:6] for line in found if line[6:] == " " + "x" * 1000]

    emulator.wait(lambda: len(lines()) >= 3000, "all lines")
    assert lines() == [f"{n:06}" for n in range(3000)]


def test_logs_arrive_in_the_functions_group_and_the_environments_stream(
    emulator: "Emulator",
) -> None:
    """The group is /aws/lambda/<name>; each environment writes to a stream of its own.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """
    code = (
        "import os\ndef handler(e, c):\n    print('line', e)\n"
        "    return [c.log_group_name, c.log_stream_name]\n"
    )
    emulator.create("logging", code)
    named = [emulator.invoke("logging", number).payload for number in range(3)]
    [[group, stream]] = {tuple(names) for names in named}
    assert group == "/aws/lambda/logging"
    emulator.wait(lambda: "line 2" in emulator.messages(group), "the log has arrived")
    texts = emulator.messages(group)
    assert [text for text in texts if text.startswith("line")] == ["line 0", "line 1", "line 2"]
    assert sum(text.startswith("REPORT") for text in texts) == 3
    streams = emulator.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    assert [found["logStreamName"] for found in streams] == [stream]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f-]{32,36}", stream)


def test_a_record_of_several_lines_is_one_event(emulator: "Emulator") -> None:
    """Lambda keeps a log record with its line breaks together, and dates it when it was written.

    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """
    code = (
        "import logging, time\ndef handler(e, c):\n    print('before')\n"
        "    logging.getLogger().warning('one\\ntwo')\n    time.sleep(0.5)\n"
        "    print('after')\n    raise ValueError('boo')\n"
    )
    emulator.create("multiline", code)
    emulator.invoke("multiline")
    group = "/aws/lambda/multiline"
    emulator.wait(lambda: "after" in emulator.messages(group), "the log has arrived")
    events = emulator.client("logs").filter_log_events(logGroupName=group)["events"]
    messages = [event["message"] for event in events]
    [warning] = [event for event in events if event["message"].endswith("one\ntwo\n")]
    [after] = [event for event in events if event["message"] == "after\n"]
    assert messages.index("before\n") < messages.index(warning["message"])
    assert 400 <= after["timestamp"] - warning["timestamp"] < 3_000
    [raised] = [text for text in messages if text.startswith("[ERROR] ValueError: boo")]
    assert "Traceback" in raised


def test_the_log_group_is_the_functions_setting(emulator: "Emulator") -> None:
    """LoggingConfig.LogGroup names the group, for several functions if one likes.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html
    """
    code = "def handler(e, c):\n    print('here')\n    return c.log_group_name\n"
    emulator.create("grouped", code, LoggingConfig={"LogGroup": "/my/group"})
    assert emulator.invoke("grouped").payload == "/my/group"
    emulator.wait(lambda: "here" in emulator.messages("/my/group"), "the log has arrived")
    assert emulator.messages("/aws/lambda/grouped") == []


def test_the_system_log_level_says_which_platform_events_there_are(emulator: "Emulator") -> None:
    """DEBUG adds the phases' ends, WARN leaves only what failed.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    code = "def handler(e, c):\n    return 1 / e\n"

    def kinds(level: str, event: int) -> list[str]:
        name = f"system-{level}-{event}"
        emulator.create(name, code, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": level})
        lines = map(json.loads, emulator.invoke(name, event).log.splitlines())
        return [line["type"].partition(".")[2] for line in lines if "type" in line]

    everything = ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"]
    assert kinds("DEBUG", 1) == everything
    assert kinds("WARN", 1) == []
    assert kinds("WARN", 0) == ["runtimeDone", "report"]


def test_the_json_format_writes_platform_events(emulator: "Emulator") -> None:
    """In the JSON format the platform's lines and a logger's are JSON objects.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
    """
    code = "import logging\ndef handler(e, c):\n    logging.getLogger().warning('careful')\n"
    emulator.create("json-log", code, LoggingConfig={"LogFormat": "JSON"})
    events = [json.loads(line) for line in emulator.invoke("json-log").log.splitlines()]
    platform = {event["type"]: event["record"] for event in events if "type" in event}
    assert list(platform) == ["platform.initStart", "platform.start", "platform.report"]
    [logged] = [event for event in events if "type" not in event]
    request_id = platform["platform.start"]["requestId"]
    assert (logged["level"], logged["message"], logged["requestId"]) == (
        "WARNING",
        "careful",
        request_id,
    )
    report = platform["platform.report"]
    assert (report["requestId"], report["status"]) == (request_id, "success")
    assert set(report["metrics"]) == {
        "durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs"
    }  # fmt: skip


def test_the_json_report_tells_how_it_ended(emulator: "Emulator") -> None:
    """A platform.report has the status error or timeout, and the type of the error.

    awslambdaric reports an exception without a type, which is Runtime.Unknown.

    https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
    """
    code = (
        "import os, time\ndef handler(e, c):\n    if e == 'raise': raise ValueError(e)\n"
        "    if e == 'exit': os._exit(1)\n    time.sleep(60)\n"
    )
    emulator.create("json-ends", code, LoggingConfig={"LogFormat": "JSON"}, Timeout=1)

    def ended(event: str) -> tuple[str, str]:
        report = json.loads(emulator.invoke("json-ends", event).log.splitlines()[-1])
        return report["record"]["status"], report["record"]["errorType"]

    assert ended("raise") == ("error", "Runtime.Unknown")
    assert ended("exit") == ("error", "Runtime.ExitError")
    assert ended("sleep") == ("timeout", "Sandbox.Timedout")


def test_the_application_s_log_level_is_the_functions_setting(emulator: "Emulator") -> None:
    """In the JSON format a logger's lines below ApplicationLogLevel are left out.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    code = (
        "import logging\ndef handler(e, c):\n    logging.getLogger().warning('careful')\n"
        "    logging.getLogger().error('wrong')\n"
    )
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "ERROR", "SystemLogLevel": "INFO"}
    emulator.create("json-level", code, LoggingConfig=config)
    log = emulator.invoke("json-level").log
    assert ["careful" in log, "wrong" in log] == [False, True]
