# Starts a state machine at a steady rate.

resource "aws_cloudwatch_event_rule" "this" {
  name                = var.name
  description         = "Starts the retraining."
  schedule_expression = var.schedule
  state               = var.enabled ? "ENABLED" : "DISABLED"
}

resource "aws_cloudwatch_event_target" "this" {
  rule      = aws_cloudwatch_event_rule.this.name
  target_id = "state-machine"
  arn       = var.state_machine_arn
  role_arn  = aws_iam_role.this.arn
  input     = jsonencode(var.input)
}

resource "aws_iam_role" "this" {
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
  name = "start"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Start"
      Effect   = "Allow"
      Action   = "states:StartExecution"
      Resource = [var.state_machine_arn]
    }]
  })
}
