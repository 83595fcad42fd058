variable "name" {
  type        = string
  description = "Name of the function, its role and its package."
}

variable "description" {
  type        = string
  description = "What the function does, in one line."
}

variable "handler" {
  type        = string
  description = "Import path of the handler, `functions.<name>.handler.handler`."
}

variable "package_path" {
  type        = string
  description = "The function's zip on this machine."
}

variable "packages_bucket" {
  type        = string
  description = "Bucket of the packages."
}

variable "memory_mb" {
  type        = number
  description = "Memory; Lambda gives CPU in proportion, one core at 1769 MB."
}

variable "timeout_s" {
  type        = number
  description = "Seconds after which a call is ended; AWS allows 900."
}

variable "ephemeral_mb" {
  type        = number
  description = "Size of /tmp."
  default     = 512
}

variable "reserved_concurrency" {
  type        = number
  description = "Calls that may run at once; -1 leaves it to the account."
  default     = -1
}

variable "environment" {
  type        = map(string)
  description = "Environment variables of the function."
  default     = {}
}

variable "statements" {
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
    prefixes  = optional(list(string), [])
  }))
  description = "What the function may do besides writing its log; `prefixes` limits what it may list."
  default     = []
}

variable "log_retention_days" {
  type        = number
  description = "Days that log lines are kept."
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}

variable "region" {
  type        = string
  description = "The AWS region."
}
