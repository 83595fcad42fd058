variable "name" {
  type        = string
  description = "Name of the state machine and its role."
}

variable "rollout_arn" {
  type        = string
  description = "ARN of the rollout function."
}

variable "evaluate_online_arn" {
  type        = string
  description = "ARN of the online evaluation function."
}

variable "alerts_topic_arn" {
  type        = string
  description = "ARN of the topic of failed executions."
}

variable "timeout_s" {
  type        = number
  description = "Timeout of an execution, in seconds; its release can be resumed."
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
