output "bucket_names" {
  description = "Bucket names by use: lake, artifacts, packages."
  value       = module.platform.bucket_names
}

output "function_names" {
  description = "Names of the functions, by their folder."
  value       = module.platform.function_names
}

output "function_arns" {
  description = "ARNs of the functions, unqualified, by their folder."
  value       = module.platform.function_arns
}

output "state_machine_arn" {
  description = "ARN of the retraining state machine."
  value       = module.platform.state_machine_arn
}

output "release_machine_arn" {
  description = "ARN of the release state machine."
  value       = module.platform.release_machine_arn
}

output "releases_topic_arn" {
  description = "ARN of the topic of release notifications."
  value       = module.platform.releases_topic_arn
}

output "api_role_arn" {
  description = "Role of the API's function, for Chalice."
  value       = module.platform.api_role_arn
}

output "refresh_function" {
  description = "Name of the function that refreshes lists, for the ingest worker."
  value       = module.platform.refresh_function
}

output "topic_arn" {
  description = "ARN of the topic of alarms."
  value       = module.platform.topic_arn
}

output "alarm_names" {
  description = "Names of the permanent alarms."
  value       = module.platform.alarm_names
}
