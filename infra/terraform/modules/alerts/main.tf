# The alarm topic with its mail subscriptions, and the permanent alarms.
#
# Averages of 0/1 metrics, one metric an alarm: no metric math and no percentiles, so that the
# emulator evaluates them as AWS does.

locals {
  # On all versions together. A canary's own, tighter alarms exist as long as its release.
  of_api = {
    "api-errors" = {
      description = "Of the API's answers, more than ${var.error_share * 100}% are errors (5xx)."
      namespace   = var.namespace
      metric      = "Error"
      statistic   = "Average"
      threshold   = var.error_share
      dimensions  = { service = var.api_service }
    }
    "api-slow" = {
      description = "Of the API's answers, more than ${var.slow_share * 100}% are slow."
      namespace   = var.namespace
      metric      = "Slow"
      statistic   = "Average"
      threshold   = var.slow_share
      dimensions  = { service = var.api_service }
    }
  }

  # The worker publishes its lag on idle minutes too: missing data means that no worker runs.
  of_ingest = {
    "ingest-lag" = {
      description = "A line has waited more than ${var.ingest_lag_s} s to get from Kafka into the lake."
      namespace   = var.namespace
      metric      = "IngestLagSeconds"
      statistic   = "Maximum"
      threshold   = var.ingest_lag_s
      dimensions  = { service = var.ingest_service }
      period_s    = var.ingest_period_s
    }
    "ingest-silent" = {
      description = "No ingest worker has told anything for ${var.ingest_period_s} s: nothing gets into the lake."
      namespace   = var.namespace
      metric      = "IngestLagSeconds"
      statistic   = "Minimum"
      comparison  = "LessThanThreshold" # never true of a lag: only missing data breaches
      threshold   = 0
      missing     = "breaching"
      dimensions  = { service = var.ingest_service }
      period_s    = var.ingest_period_s
    }
    "ingest-expired" = {
      description = "Kafka deleted lines before they were read: they are in quarantine as offsets_expired, without their text."
      namespace   = var.namespace
      metric      = "IngestExpired"
      statistic   = "Sum"
      threshold   = 0
      dimensions  = { service = var.ingest_service }
      period_s    = var.ingest_period_s
    }
    "ingest-quarantine" = {
      description = "Of the site's lines, more than ${var.quarantine_share * 100}% are junk: did their form change?"
      namespace   = var.namespace
      metric      = "QuarantineRate"
      statistic   = "Average"
      threshold   = var.quarantine_share
      dimensions  = { service = var.ingest_service }
      period_s    = var.ingest_period_s
    }
  }

  of_functions = merge([for function in var.functions : {
    "${function}-failed" = {
      description = "A call of ${function} raised, crashed or timed out."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      statistic   = "Sum"
      threshold   = 0
      dimensions  = { FunctionName = function }
    }
  }]...)

  # Published once an hour; a period of two, since the schedule is not exact.
  of_model = {
    "model-age" = {
      description = "The serving model is older than ${var.model_age_days} days: did retraining or releases stop?"
      namespace   = var.namespace
      metric      = "ModelAgeDays"
      statistic   = "Maximum"
      threshold   = var.model_age_days
      dimensions  = { service = var.quality_service }
      period_s    = 7200
    }
  }

  # A state machine publishes caught failures itself; it cannot publish its own timeout.
  of_machines = merge([for name, arn in var.state_machine_arns : {
    for metric in ["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"] :
    "${name}-${lower(trimprefix(metric, "Executions"))}" => {
      description = "An execution of ${name} ended badly (${metric}): what served before goes on serving."
      namespace   = "AWS/States"
      metric      = metric
      statistic   = "Sum"
      threshold   = 0
      dimensions  = { StateMachineArn = arn }
    }
  }]...)
}

resource "aws_sns_topic" "this" {
  name = var.topic_name
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = merge(local.of_api, local.of_ingest, local.of_model, local.of_functions, local.of_machines)

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = try(each.value.comparison, "GreaterThanThreshold")
  threshold           = each.value.threshold
  period              = try(each.value.period_s, var.period_s)
  evaluation_periods  = 1
  treat_missing_data  = try(each.value.missing, "notBreaching") # no request, no error
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}
