# Release notifications: a topic with mail subscriptions, and a function that forwards to Slack.

resource "aws_sns_topic" "this" {
  name = var.topic_name
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_sns_topic_subscription" "chat" {
  topic_arn = aws_sns_topic.this.arn
  protocol  = "lambda"
  endpoint  = var.notify_arn
}

resource "aws_lambda_permission" "this" {
  statement_id  = "notices"
  action        = "lambda:InvokeFunction"
  function_name = var.notify_name
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.this.arn
}
