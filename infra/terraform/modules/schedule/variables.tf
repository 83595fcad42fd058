variable "name" {
  type        = string
  description = "Name of the rule and of its role or permission."
}

variable "description" {
  type        = string
  description = "What the rule does, in one line."
}

variable "schedule" {
  type        = string
  description = "EventBridge schedule expression, such as `rate(3 days)`."
}

variable "enabled" {
  type        = bool
  description = "Whether the rule starts anything."
}

variable "target_arn" {
  type        = string
  description = "What to start."
}

variable "function_name" {
  type        = string
  description = "Name of the function that is started; null for a state machine."
  default     = null
}

variable "input" {
  type        = any
  description = "Input of each execution or call; without one it is EventBridge's own event."
  default     = null

  validation {
    condition     = jsonencode(var.input) != "{}"
    error_message = "An empty input is never sent by the emulator: leave it out, or say something."
  }
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
