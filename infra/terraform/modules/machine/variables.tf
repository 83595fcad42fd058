variable "name" {
  type        = string
  description = "Name of the state machine and its role."
}

variable "statements" {
  type        = list(object({ sid = string, action = string, resources = list(string) }))
  description = "Permissions of the state machine, besides publishing its failures."
}

variable "retried_errors" {
  type        = list(string)
  default     = []
  description = "Errors of the functions that are transient; others are not retried."
}

variable "alerts_topic_arn" {
  type        = string
  description = "ARN of the topic of failed executions."
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
