variable "name" {
  type        = string
  description = "Name of the state machine and its role."
}

variable "rollout_arn" {
  type        = string
  description = "ARN of the function that carries a release's actions out."
}

variable "evaluate_online_arn" {
  type        = string
  description = "ARN of the function that compares canary and stable version."
}

variable "alerts_topic_arn" {
  type        = string
  description = "ARN of the topic that hears of an execution that failed."
}

variable "timeout_s" {
  type        = number
  description = "Seconds after which an execution is given up; its release can be resumed."
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
