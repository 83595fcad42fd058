"""What Terraform would make is what the code counts on."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from movierec import settings
from movierec.aws.cloudwatch_alarms import version_in
from movierec.lake.maintenance import Policy
from movierec.lake.plausible_times import PlausibleTimes
from movierec.metrics import (
    INGEST_DIMENSIONS,
    INGEST_METRICS,
    LIVE_METRICS,
    NAMESPACE,
    OVERALL_METRICS,
    live_dimensions,
    quality_dimensions,
)
from movierec.model.rating_scale import RatingScale
from tests.terraform_facts import EXPECTED

# AWS's own metrics that alarms may name:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
SERVICE_METRICS = {
    "AWS/Lambda": {"Errors", "Throttles", "Duration", "Invocations"},
    "AWS/States": {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"},
}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def of(resources):
    def find(kind):
        found = {address: values for type_, address, values in resources if type_ == kind}
        assert found, f"no {kind} is planned"
        return found

    return find


def policies(of):
    found = {**of("aws_iam_role_policy"), **of("aws_s3_bucket_policy")}
    return {address: json.loads(values["policy"]) for address, values in found.items()}


def test_every_alarm_names_a_metric_that_somebody_publishes(of):
    ours = {metric.name for metric in (*LIVE_METRICS, *INGEST_METRICS, *OVERALL_METRICS)}
    known = SERVICE_METRICS | {NAMESPACE: ours}

    for address, alarm in of("aws_cloudwatch_metric_alarm").items():
        assert alarm["metric_name"] in known[alarm["namespace"]], address


def test_every_alarm_of_ours_is_on_dimensions_that_its_metric_is_emitted_by(of):
    """CloudWatch sums nothing up: any other set of dimensions is a metric without data."""
    ours = {
        address: (alarm["metric_name"], alarm["dimensions"])
        for address, alarm in of("aws_cloudwatch_metric_alarm").items()
        if alarm["namespace"] == NAMESPACE
    }
    of_ingest = {metric.name for metric in INGEST_METRICS}
    of_quality = {metric.name for metric in OVERALL_METRICS}

    assert ours
    for address, (metric, dimensions) in ours.items():
        of_api = live_dimensions(dimensions.get("FunctionVersion", ""))
        overall = {metric: (quality_dimensions(None),) for metric in of_quality}
        emitted = (INGEST_DIMENSIONS,) if metric in of_ingest else overall.get(metric, of_api)
        assert dimensions in emitted, address


def test_every_alarm_is_one_that_the_emulator_evaluates(of):
    """No metric math, no percentiles, no anomaly bands."""
    for address, alarm in of("aws_cloudwatch_metric_alarm").items():
        assert alarm["statistic"] in {"Average", "Sum", "Minimum", "Maximum"}, address
        assert not alarm["extended_statistic"], address
        assert not alarm["metric_query"], address
        assert alarm["evaluation_periods"] == 1, address


def test_the_api_is_watched_for_errors_and_slowness_whatever_its_version(of):
    watched = {
        (alarm["metric_name"], alarm["statistic"])
        for alarm in of("aws_cloudwatch_metric_alarm").values()
        if alarm["dimensions"] == {"service": "movierec-api"}
    }

    assert watched == {("Error", "Average"), ("Slow", "Average")}


def alarms_on(of, metric):
    """Return the alarms on a metric by the last part of their names."""
    return {
        alarm["alarm_name"].removeprefix("movierec-"): alarm
        for alarm in of("aws_cloudwatch_metric_alarm").values()
        if alarm["metric_name"] == metric
    }


def test_ingest_is_watched_for_lag_for_junk_and_for_silence(of):
    lag = alarms_on(of, "IngestLagSeconds")
    (junk,) = alarms_on(of, "QuarantineRate").values()

    assert set(lag) == {"ingest-lag", "ingest-silent"}
    assert (lag["ingest-lag"]["statistic"], lag["ingest-lag"]["threshold"]) == ("Maximum", 300)
    assert (junk["statistic"], junk["threshold"]) == ("Average", 0.05)
    # A worker tells once a minute, not on the second: each window holds one at least.
    assert all(alarm["period"] >= 180 for alarm in (*lag.values(), junk))


def test_a_quiet_night_raises_no_alarm_but_a_silent_worker_does(of):
    """The worker tells its lag on idle minutes too."""
    alarms = of("aws_cloudwatch_metric_alarm").values()
    on_silence = [a["alarm_name"] for a in alarms if a["treat_missing_data"] != "notBreaching"]

    assert on_silence == ["movierec-ingest-silent"]
    silent = alarms_on(of, "IngestLagSeconds")["ingest-silent"]
    # No lag is below 0: it is the missing one alone that breaches.
    assert (silent["comparison_operator"], silent["threshold"]) == ("LessThanThreshold", 0)
    assert silent["treat_missing_data"] == "breaching"


def test_no_role_may_do_everything_or_to_everything(of):
    for address, values in of("aws_iam_role_policy").items():
        for statement in json.loads(values["policy"])["Statement"]:
            resources, actions = statement["Resource"], statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            assert resources, address
            assert "*" not in resources, address
            assert not [action for action in actions if "*" in action], address


def test_who_reads_events_reads_the_lake_and_only_upkeep_changes_it(of):
    may = {
        address: set(statement["Action"]) if isinstance(statement["Action"], list) else set()
        for address, values in of("aws_iam_role_policy").items()
        for statement in json.loads(values["policy"])["Statement"]
        if "arn:aws:s3:::movierec-lake/*" in statement["Resource"]
    }

    write = {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"}
    assert may == {
        role_policy("build_dataset"): {"s3:GetObject"},
        role_policy("evaluate_online"): {"s3:GetObject"},
        role_policy("lake_maintenance"): write,
        role_policy("refresh"): {"s3:GetObject"},
    }


def role_policy(function):
    return f'module.platform.module.function["{function}"].aws_iam_role_policy.this'


def test_upkeep_touches_the_lake_and_nothing_else(of):
    statements = json.loads(of("aws_iam_role_policy")[role_policy("lake_maintenance")]["policy"])

    resources = {name for one in statements["Statement"] for name in one["Resource"]}
    lake = "arn:aws:s3:::movierec-lake"
    assert {name for name in resources if ":logs:" not in name} == {lake, f"{lake}/*"}


def test_every_bucket_keeps_versions_refuses_the_public_and_plain_http(of):
    buckets = {values["bucket"] for values in of("aws_s3_bucket").values()}
    assert buckets == set(EXPECTED["bucket_names"].values())

    for versioning in of("aws_s3_bucket_versioning").values():
        assert versioning["versioning_configuration"][0]["status"] == "Enabled"
    for block in of("aws_s3_bucket_public_access_block").values():
        switches = ("block_public_acls", "block_public_policy", "ignore_public_acls")
        assert all(block[switch] for switch in (*switches, "restrict_public_buckets"))
    for values in of("aws_s3_bucket_policy").values():
        (statement,) = json.loads(values["policy"])["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    kinds = ("versioning", "public_access_block", "policy", "lifecycle_configuration")
    assert {len(of(f"aws_s3_bucket_{kind}")) for kind in kinds} == {len(buckets)}


def test_no_lifecycle_rule_takes_a_file_that_a_delta_table_names(of):
    for configuration in of("aws_s3_bucket_lifecycle_configuration").values():
        (rule,) = configuration["rule"]
        assert rule["noncurrent_version_expiration"][0]["noncurrent_days"] > 0
        assert rule["abort_incomplete_multipart_upload"][0]["days_after_initiation"] > 0
        assert not rule["expiration"][0]["days"]
        assert not rule["expiration"][0]["date"]


def test_nothing_waits_for_a_lifecycle_rule(plan):
    """The provider watches each for 50 s; everything else is up long before."""
    text = json.dumps(plan["configuration"]["root_module"])
    definitions = text.count('"type": "aws_s3_bucket_lifecycle_configuration"')
    mentions = text.count("aws_s3_bucket_lifecycle_configuration")

    assert definitions == 1
    assert mentions == 2  # its type and its address, in its own definition


def test_the_functions_are_the_ones_that_are_written(of):
    functions = {values["function_name"]: values for values in of("aws_lambda_function").values()}
    assert set(functions) == set(EXPECTED["function_names"].values())

    for folder in EXPECTED["function_names"]:
        function = functions[EXPECTED["function_names"][folder]]
        module, _, attribute = function["handler"].rpartition(".")
        source = ROOT / f"{module.replace('.', '/')}.py"
        text = source.read_text(encoding="utf-8")
        assert re.search(rf"^(def {attribute}\(|{attribute} = )", text, re.MULTILINE)
        assert function["runtime"] == "python3.13"
        assert function["reserved_concurrent_executions"] == 1
        assert 0 < function["timeout"] <= 900
        assert 128 <= function["memory_size"] <= 10240


def test_every_function_has_its_own_role_and_a_log_that_forgets(of):
    names = {*EXPECTED["function_names"].values(), "movierec-api"}
    groups = {group["name"]: group for group in of("aws_cloudwatch_log_group").values()}

    assert set(groups) == {f"/aws/lambda/{name}" for name in names}
    assert all(group["retention_in_days"] > 0 for group in groups.values())
    assert names < {role["name"] for role in of("aws_iam_role").values()}


def definition(of, name):
    machines = {machine["name"]: machine for machine in of("aws_sfn_state_machine").values()}
    assert set(machines) == {"movierec-retrain", "movierec-release"}
    return json.loads(machines[f"movierec-{name}"]["definition"])


def calls_of(machine):
    states = machine["States"].values()
    return [state for state in states if state.get("Resource", "").endswith("invoke")]


def test_the_retraining_ends_in_time_and_repeats_what_aws_asks_to_repeat(of):
    machine = definition(of, "retrain")
    calls = calls_of(machine)

    assert machine["TimeoutSeconds"] > 0
    called = [call["Parameters"]["FunctionName"] for call in calls]
    arns = EXPECTED["function_arns"]
    assert called == [arns["build_dataset"], arns["train_als"]]
    for call in calls:
        (retry,) = call["Retry"]
        # https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
        assert set(retry["ErrorEquals"]) >= {
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.TooManyRequestsException",
        }
        assert "States.ALL" not in retry["ErrorEquals"]


def test_a_failed_retraining_is_told_before_it_fails(of):
    machine = definition(of, "retrain")
    states = machine["States"]

    for call in calls_of(machine):
        (catch,) = call["Catch"]
        assert catch["ErrorEquals"] == ["States.ALL"]
        told = states[catch["Next"]]
        assert told["Resource"] == "arn:aws:states:::sns:publish"
        assert told["Parameters"]["TopicArn"] == EXPECTED["topic_arn"]
        assert states[told["Next"]]["Type"] == "Fail"
        assert {caught["Next"] for caught in told["Catch"]} == {told["Next"]}


def started_by(of, module):
    """Return the rule of a schedule and its target."""
    place = f"module.platform.module.{module}.aws_cloudwatch_event"
    return of("aws_cloudwatch_event_rule")[f"{place}_rule.this"], of("aws_cloudwatch_event_target")[
        f"{place}_target.this"
    ]


def test_the_retraining_starts_every_three_days(of):
    rule, target = started_by(of, "schedule")

    assert (rule["schedule_expression"], rule["state"]) == ("rate(3 days)", "ENABLED")
    assert target["arn"] == EXPECTED["state_machine_arn"]


def test_the_lake_is_kept_every_five_minutes_by_a_function_that_lets_the_schedule_call_it(of):
    rule, target = started_by(of, "upkeep_schedule")
    permissions = of("aws_lambda_permission")
    permission = permissions["module.platform.module.upkeep_schedule.aws_lambda_permission.this[0]"]

    assert (rule["schedule_expression"], rule["state"]) == ("rate(5 minutes)", "ENABLED")
    assert target["arn"] == EXPECTED["function_arns"]["lake_maintenance"]
    assert permission["function_name"] == EXPECTED["function_names"]["lake_maintenance"]
    assert permission["principal"] == "events.amazonaws.com"
    assert permission["action"] == "lambda:InvokeFunction"


def test_lists_are_refreshed_every_five_minutes_by_a_function_that_may_see_who_is_served(of):
    rule = of("aws_cloudwatch_event_rule")[
        "module.platform.module.refresh_schedule.aws_cloudwatch_event_rule.this"
    ]
    target = of("aws_cloudwatch_event_target")[
        "module.platform.module.refresh_schedule.aws_cloudwatch_event_target.this"
    ]
    assert (rule["schedule_expression"], rule["state"]) == ("rate(5 minutes)", "ENABLED")
    assert target["arn"] == EXPECTED["function_arns"]["refresh"]

    may = json.loads(of("aws_iam_role_policy")[role_policy("refresh")]["policy"])["Statement"]
    written = {name for one in may if "s3:PutObject" in one["Action"] for name in one["Resource"]}
    assert written == {"arn:aws:s3:::movierec-artifacts/overlays/*"}
    [deletes] = [one for one in may if "s3:DeleteObject" in one["Action"]]
    assert deletes["Resource"] == ["arn:aws:s3:::movierec-artifacts/overlays/*/*"]
    [seen] = [one for one in may if "lambda:GetAlias" in one["Action"]]
    assert set(seen["Action"]) == {"lambda:GetAlias", "lambda:GetFunctionConfiguration"}


def test_upkeep_is_told_by_the_names_that_the_code_reads(of):
    functions = {values["function_name"]: values for values in of("aws_lambda_function").values()}
    (environment,) = functions[EXPECTED["function_names"]["lake_maintenance"]]["environment"]

    told = Policy.from_env(environment["variables"])
    names = {settings.WATCH_RETENTION_DAYS, settings.VACUUM_RETENTION_HOURS, settings.LAKE_BUCKET}
    assert names <= set(environment["variables"])
    assert told == Policy()


@pytest.mark.parametrize("function", ["build_dataset", "evaluate_online", "refresh"])
def test_who_reads_the_sites_events_has_the_sites_settings(of, function):
    functions = {values["function_name"]: values for values in of("aws_lambda_function").values()}
    (environment,) = functions[EXPECTED["function_names"][function]]["environment"]

    assert RatingScale.from_env(environment["variables"]) == RatingScale(1, 10)
    assert PlausibleTimes.from_env(environment["variables"]).earliest == date(2020, 1, 1)


# Releases -----------------------------------------------------------------------------------


def test_each_action_of_a_release_is_retried_and_ends_in_an_abort_at_worst(of):
    machine = definition(of, "release")
    states = machine["States"]
    acts = {
        name: state
        for name, state in states.items()
        if state.get("Parameters", {}).get("FunctionName") == EXPECTED["function_arns"]["rollout"]
    }

    said = {state["Parameters"]["Payload"]["action"] for state in acts.values()}
    assert said == {"begin", "check", "cut", "test", "advance", "close", "abort"}
    for name, state in acts.items():
        (retry,) = state["Retry"]
        assert {"ReleaseConflictError", "UnavailableError"} <= set(retry["ErrorEquals"])
        (catch,) = state["Catch"]
        after = "TellFailure" if name in {"Abort", "Close"} else "Abort"
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], after)


def test_a_look_that_fails_is_no_verdict(of):
    evaluate = definition(of, "release")["States"]["Evaluate"]

    assert evaluate["Parameters"]["FunctionName"] == EXPECTED["function_arns"]["evaluate_online"]
    assert [catch["Next"] for catch in evaluate["Catch"]] == ["Advance"]


def test_a_scheduled_retraining_releases_its_model_and_one_by_hand_does_not(of):
    _, target = started_by(of, "schedule")
    states = definition(of, "retrain")["States"]

    assert json.loads(target["input"]) == {"release": True}
    assert states["IsReleased"]["Default"] == "Trained"
    started = states["StartRelease"]["Parameters"]
    assert started["StateMachineArn"] == EXPECTED["release_machine_arn"]


def brakes(of):
    """Return the template of a canary's alarms that each function which releases is given."""
    environments = {
        values["function_name"]: values["environment"][0]["variables"]
        for values in of("aws_lambda_function").values()
    }
    return [
        json.loads(environments[EXPECTED["function_names"][name]][settings.CANARY_ALARMS])
        for name in ("rollout", "rollback")
    ]


def test_a_model_that_is_a_week_old_raises_an_alarm(of):
    (alarm,) = alarms_on(of, "ModelAgeDays").values()

    assert (alarm["threshold"], alarm["comparison_operator"]) == (7, "GreaterThanThreshold")


def test_a_canarys_alarms_name_metrics_that_somebody_publishes(of):
    template, same = brakes(of)
    own = {metric.name for metric in LIVE_METRICS}

    assert template == same
    for kind, alarm in template.items():
        assert "{version}" in alarm["AlarmName"], kind
        assert version_in(alarm["AlarmName"].replace("{version}", "12")) == "12"
        assert alarm["AlarmActions"] == ["arn:aws:sns:us-east-1:000000000000:movierec-brake"]
        if alarm["Namespace"] == NAMESPACE:
            assert alarm["MetricName"] in own, kind
            assert alarm["Dimensions"] == [{"Name": "FunctionVersion", "Value": "{version}"}]
        else:
            assert alarm["Namespace"] == "AWS/Lambda"
            assert alarm["MetricName"] in {"Errors", "Duration"}, kind
            named = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
            assert named == {
                "FunctionName": "movierec-api",
                "Resource": "movierec-api:live",
                "ExecutedVersion": "{version}",
            }
    assert template["silent"]["TreatMissingData"] == "breaching"


def test_the_brake_calls_the_rollback_and_the_notices_call_the_chat(of):
    subscriptions = {
        (values["protocol"], values["endpoint"])
        for values in of("aws_sns_topic_subscription").values()
    }
    allowed = {
        (values["function_name"], values["principal"])
        for values in of("aws_lambda_permission").values()
        if values["principal"] == "sns.amazonaws.com"
    }
    arns, names = EXPECTED["function_arns"], EXPECTED["function_names"]

    assert subscriptions == {("lambda", arns["rollback"]), ("lambda", arns["notify"])}
    assert allowed == {(names[name], "sns.amazonaws.com") for name in ("rollback", "notify")}


def test_the_rollback_may_invoke_rollout_for_its_page_and_nothing_else(of):
    functions = {values["function_name"]: values for values in of("aws_lambda_function").values()}
    (environment,) = functions[EXPECTED["function_names"]["rollback"]]["environment"]
    statements = json.loads(of("aws_iam_role_policy")[role_policy("rollback")]["policy"])
    invoked = [
        one["Resource"]
        for one in statements["Statement"]
        if "lambda:InvokeFunction" in one["Action"]
    ]

    assert invoked == [[EXPECTED["function_arns"]["rollout"]]]
    name = environment["variables"][settings.ROLLOUT_FUNCTION]
    assert name == EXPECTED["function_names"]["rollout"]
