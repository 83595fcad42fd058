variable "name" {
  type        = string
  description = "Name of the function, its role and its package."
}

variable "description" {
  type        = string
  description = "Description of the function, in one line."
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
  description = "Timeout of a call, in seconds; AWS allows 900."
}

variable "ephemeral_mb" {
  type        = number
  description = "Size of /tmp."
  default     = 512
}

variable "reserved_concurrency" {
  type        = number
  description = "Reserved concurrency; -1 for the account's pool."
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
  description = "Permissions of the function besides writing its log; `prefixes` restricts listing."
  default     = []
}

variable "log_retention_days" {
  type        = number
  description = "Retention of the logs, in days."
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}

variable "region" {
  type        = string
  description = "The AWS region."
}
