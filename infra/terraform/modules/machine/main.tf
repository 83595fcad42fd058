# The common parts of the state machines: a role, the states that publish a failure, and the retry
# of a call. Each has its own definition.

locals {
  # Errors that AWS recommends every caller of Lambda to retry, and throttling:
  # https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
  lambda_errors = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    # A function that is new, or idle for weeks, is Pending for a moment:
    # https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
    "Lambda.ResourceConflictException",
    "Lambda.ResourceNotReadyException",
  ]
}

resource "aws_iam_role" "this" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "state-machine"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for each in concat(var.statements, [
        { sid = "Tell", action = "sns:Publish", resources = [var.alerts_topic_arn] },
      ]) :
      { Sid = each.sid, Effect = "Allow", Action = each.action, Resource = each.resources }
    ]
  })
}
