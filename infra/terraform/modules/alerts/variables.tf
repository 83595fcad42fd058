variable "name_prefix" {
  type        = string
  description = "What the alarms' names start with."
}

variable "topic_name" {
  type        = string
  description = "Name of the SNS topic."
}

variable "emails" {
  type        = set(string)
  description = "Addresses that are told; each has to confirm once."
  default     = []
}

variable "namespace" {
  type        = string
  description = "CloudWatch namespace of the product's own metrics."
}

variable "api_service" {
  type        = string
  description = "What the API calls itself in its metrics, whatever its version."
}

variable "functions" {
  type        = set(string)
  description = "Functions of which every failed call is told."
}

variable "state_machine_arn" {
  type        = string
  description = "The retraining."
}

variable "error_share" {
  type        = number
  description = "Share of answers, 0-1, that may be errors."
}

variable "slow_share" {
  type        = number
  description = "Share of answers, 0-1, that may be slow."
}

variable "period_s" {
  type        = number
  description = "Seconds of metrics that an alarm looks at."
}
