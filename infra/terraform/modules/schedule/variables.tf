variable "name" {
  type        = string
  description = "Name of the rule and its role."
}

variable "schedule" {
  type        = string
  description = "EventBridge schedule expression, such as `rate(3 days)`."
}

variable "enabled" {
  type        = bool
  description = "Whether the rule starts anything."
}

variable "state_machine_arn" {
  type        = string
  description = "What to start."
}

variable "input" {
  type        = map(string)
  description = "Input of each execution."
  default     = {}
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
