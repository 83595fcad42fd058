variable "name" {
  type        = string
  description = "Name of the rule and of its role or permission."
}

variable "description" {
  type        = string
  description = "Description of the rule, in one line."
}

variable "schedule" {
  type        = string
  description = "EventBridge schedule expression, such as `rate(3 days)`."
}

variable "enabled" {
  type        = bool
  description = "Whether the rule is enabled."
}

variable "target_arn" {
  type        = string
  description = "ARN of the target."
}

variable "function_name" {
  type        = string
  description = "Name of the target function; null for a state machine."
  default     = null
}

variable "input" {
  type        = any
  description = "Input of each execution or call; EventBridge's own event by default."
  default     = null

  validation {
    condition     = jsonencode(var.input) != "{}"
    error_message = "The emulator never sends an empty input: leave it out, or set one."
  }
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
