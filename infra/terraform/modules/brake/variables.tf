variable "name_prefix" {
  type        = string
  description = "Prefix of every name."
}

variable "topic_name" {
  type        = string
  description = "Name of the topic of a canary's alarms."
}

variable "topic_arn" {
  type        = string
  description = "ARN of that topic."
}

variable "rollback_arn" {
  type        = string
  description = "ARN of the rollback function."
}

variable "rollback_name" {
  type        = string
  description = "Name of that function."
}

variable "api_function" {
  type        = string
  description = "Name of the API's function."
}

variable "alias" {
  type        = string
  description = "Name of the alias that routes requests."
}

variable "namespace" {
  type        = string
  description = "CloudWatch namespace of the live metrics."
}

variable "error_share" {
  type        = number
  description = "Share of a canary's answers, 0-1, that may be errors."
}

variable "slow_share" {
  type        = number
  description = "Share of a canary's answers, 0-1, that may be slow."
}

variable "duration_ms" {
  type        = number
  description = "Milliseconds that a canary's calls may last on average, cold starts included."
}

variable "period_s" {
  type        = number
  description = "Period of an alarm, in seconds."
}
