# Automatic rollback: the topic of a canary's alarms, its subscription by the rollback function, and
# the template of the alarms.
#
# An alarm is on a version, which does not exist before it is published: so the release creates it
# from this template, and deletes it at its end. Averages of 0/1 metrics, one metric an alarm: these
# the emulator evaluates as AWS does.

locals {
  alarm = {
    AlarmActions       = [var.topic_arn]
    Period             = var.period_s
    EvaluationPeriods  = local.bad_periods
    ComparisonOperator = "GreaterThanThreshold"
    TreatMissingData   = "notBreaching"
  }

  # At least 20 s: one error among a canary's first answers must not roll it back.
  bad_periods = ceil(20 / var.period_s)

  # Three minutes, whatever the period: a canary's few requests may have shorter gaps.
  silent_periods = ceil(180 / var.period_s)

  of_calls = [
    { Name = "FunctionName", Value = var.api_function },
    { Name = "Resource", Value = "${var.api_function}:${var.alias}" },
    { Name = "ExecutedVersion", Value = "{version}" },
  ]

  of_version = [{ Name = "FunctionVersion", Value = "{version}" }]

  alarms = {
    crashes = {
      AlarmDescription = "Of the canary's calls, more than ${var.error_share * 100}% crashed or timed out."
      Namespace        = "AWS/Lambda"
      MetricName       = "Errors"
      Statistic        = "Average"
      Threshold        = var.error_share
      Dimensions       = local.of_calls
    }
    # Lambda's own duration: it includes time before and after the API's own measurement.
    long = {
      AlarmDescription = "The canary's calls last more than ${var.duration_ms} ms on average."
      Namespace        = "AWS/Lambda"
      MetricName       = "Duration"
      Statistic        = "Average"
      Threshold        = var.duration_ms
      Dimensions       = local.of_calls
    }
    errors = {
      AlarmDescription = "Of the canary's answers, more than ${var.error_share * 100}% are errors (5xx)."
      Namespace        = var.namespace
      MetricName       = "Error"
      Statistic        = "Average"
      Threshold        = var.error_share
      Dimensions       = local.of_version
    }
    slow = {
      AlarmDescription = "Of the canary's answers, more than ${var.slow_share * 100}% are slow."
      Namespace        = var.namespace
      MetricName       = "Slow"
      Statistic        = "Average"
      Threshold        = var.slow_share
      Dimensions       = local.of_version
    }
    # Created once the canary has had requests for a while: then missing data means that it is down.
    silent = {
      AlarmDescription   = "The canary has users, and has told nothing for ${local.silent_periods * var.period_s} seconds."
      Namespace          = var.namespace
      MetricName         = "Requests"
      Statistic          = "SampleCount"
      Threshold          = 1
      ComparisonOperator = "LessThanThreshold"
      EvaluationPeriods  = local.silent_periods
      TreatMissingData   = "breaching"
      Dimensions         = local.of_version
    }
  }

  template = {
    for kind, alarm in local.alarms : kind => merge(local.alarm, alarm, {
      AlarmName = "${var.name_prefix}-canary-{version}-${kind}"
    })
  }
}

resource "aws_sns_topic" "this" {
  name = var.topic_name
}

resource "aws_sns_topic_subscription" "this" {
  topic_arn = aws_sns_topic.this.arn
  protocol  = "lambda"
  endpoint  = var.rollback_arn
}

resource "aws_lambda_permission" "this" {
  statement_id  = "brake"
  action        = "lambda:InvokeFunction"
  function_name = var.rollback_name
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.this.arn
}
