# An EventBridge rule that starts a state machine, with a role of its own, or a function, which needs
# a permission instead: EventBridge supports no role for functions.

resource "aws_cloudwatch_event_rule" "this" {
  name                = var.name
  description         = var.description
  schedule_expression = var.schedule
  state               = var.enabled ? "ENABLED" : "DISABLED"
}

resource "aws_cloudwatch_event_target" "this" {
  rule      = aws_cloudwatch_event_rule.this.name
  target_id = var.function_name == null ? "state-machine" : "function"
  arn       = var.target_arn
  role_arn  = one(aws_iam_role.this[*].arn)
  input     = var.input == null ? null : jsonencode(var.input)
}

resource "aws_lambda_permission" "this" {
  count = var.function_name == null ? 0 : 1

  statement_id  = var.name
  action        = "lambda:InvokeFunction"
  function_name = var.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this.arn
}

resource "aws_iam_role" "this" {
  count = var.function_name == null ? 1 : 0

  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "events.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  count = var.function_name == null ? 1 : 0

  name = "start"
  role = aws_iam_role.this[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Start"
      Effect   = "Allow"
      Action   = "states:StartExecution"
      Resource = [var.target_arn]
    }]
  })
}
