output "topic_arn" {
  description = "ARN of the topic that a canary's alarms speak on."
  value       = aws_sns_topic.this.arn
}

output "template" {
  description = "Arguments of PutMetricAlarm for each kind of alarm, with {version} where the version goes."
  value       = local.template
}
