variable "name_prefix" {
  type        = string
  description = "What every name starts with."
}

variable "topic_name" {
  type        = string
  description = "Name of the topic that a canary's alarms speak on."
}

variable "topic_arn" {
  type        = string
  description = "ARN that the topic will have."
}

variable "rollback_arn" {
  type        = string
  description = "ARN of the function that takes the users away."
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
  description = "Name of the alias that users come through."
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
  description = "How long a canary's calls may last on average, cold starts and all."
}

variable "period_s" {
  type        = number
  description = "Seconds of metrics that an alarm looks at."
}
