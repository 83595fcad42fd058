output "bucket_names" {
  description = "Bucket names by use: lake, artifacts, packages."
  value       = module.storage.bucket_names
}

output "function_names" {
  description = "Names of the functions, by their folder."
  value       = { for key, function in module.function : key => function.name }
}

output "function_arns" {
  description = "ARNs of the functions, unqualified, by their folder."
  value       = { for key, function in module.function : key => function.arn }
}

output "state_machine_arn" {
  description = "ARN of the retraining state machine."
  value       = module.retrain.state_machine_arn
}

output "release_machine_arn" {
  description = "ARN of the release state machine."
  value       = module.release.state_machine_arn
}

output "releases_topic_arn" {
  description = "ARN of the topic of release notifications."
  value       = module.notices.topic_arn
}

output "api_role_arn" {
  description = "Role of the API's function, for Chalice."
  value       = module.api.role_arn
}

output "refresh_function" {
  description = "Name of the function that refreshes lists, for the ingest worker."
  value       = module.function["refresh"].name
}

output "topic_arn" {
  description = "ARN of the topic of alarms."
  value       = module.alerts.topic_arn
}

output "alarm_names" {
  description = "Names of the permanent alarms."
  value       = module.alerts.alarm_names
}
