output "topic_arn" {
  description = "ARN of the topic of a canary's alarms."
  value       = aws_sns_topic.this.arn
}

output "template" {
  description = "Arguments of PutMetricAlarm for each kind of alarm, with the placeholder {version}."
  value       = local.template
}
