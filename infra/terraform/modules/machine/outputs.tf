output "role_arn" {
  description = "ARN of the state machine's role, after its permissions are attached."
  value       = aws_iam_role.this.arn
  depends_on  = [aws_iam_role_policy.this]
}

output "retry" {
  description = "Retry block of a state that calls a function."
  value = [{
    ErrorEquals     = concat(local.lambda_errors, var.retried_errors)
    IntervalSeconds = 2
    MaxAttempts     = 6
    BackoffRate     = 2
    JitterStrategy  = "FULL"
  }]
}

output "failing" {
  description = "The states that publish the error at $.failure and fail: TellFailure, Failed."
  value = {
    TellFailure = {
      Type     = "Task"
      Resource = "arn:aws:states:::sns:publish"
      Parameters = {
        TopicArn    = var.alerts_topic_arn
        Subject     = "${var.name} failed"
        "Message.$" = "States.Format('{} failed: {}: {}', $$.Execution.Id, $.failure.Error, $.failure.Cause)"
      }
      ResultPath = null
      Retry      = [{ ErrorEquals = ["States.ALL"], IntervalSeconds = 2, MaxAttempts = 3, BackoffRate = 2 }]
      Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = null, Next = "Failed" }]
      Next       = "Failed"
    }
    Failed = {
      Type      = "Fail"
      ErrorPath = "$.failure.Error"
      CausePath = "$.failure.Cause"
    }
  }
}
