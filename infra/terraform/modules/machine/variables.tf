variable "name" {
  type        = string
  description = "Name of the state machine and its role."
}

variable "statements" {
  type        = list(object({ sid = string, action = string, resources = list(string) }))
  description = "What the state machine may do, besides telling of its failures."
}

variable "retried_errors" {
  type        = list(string)
  default     = []
  description = "Errors of the functions themselves that pass; others fail the same way again."
}

variable "alerts_topic_arn" {
  type        = string
  description = "ARN of the topic that hears of an execution that failed."
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
