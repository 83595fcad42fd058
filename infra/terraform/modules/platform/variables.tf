variable "name_prefix" {
  type        = string
  description = "What every name starts with; bucket names are unique in the world."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix: 3 to 32 of a-z, 0-9 and -, as bucket names allow."
  }
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}

variable "region" {
  type        = string
  description = "The AWS region."
}

variable "package_paths" {
  type        = map(string)
  description = "Each function's zip on this machine, by the function's folder: build_dataset, train_als."
}

variable "code_version" {
  type        = string
  description = "Git commit of the code in the packages, with `-dirty` if it was changed since."
}

variable "sizes" {
  type = map(object({
    memory_mb    = number
    ephemeral_mb = optional(number, 512)
    timeout_s    = optional(number, 900)
  }))
  description = "What each function gets, by its folder."
}

variable "reserved_concurrency" {
  type        = number
  description = "Calls of one function that may run at once; -1 leaves it to the account."
  default     = 1
}

variable "log_retention_days" {
  type        = number
  description = "Days that log lines are kept."
  default     = 30
}

variable "noncurrent_days" {
  type        = number
  description = "Days that a replaced or deleted object can still be brought back."
  default     = 30
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` may delete buckets with objects in them."
  default     = false
}

variable "retrain_schedule" {
  type        = string
  description = "When the retraining starts, as an EventBridge expression."
  default     = "rate(3 days)"
}

variable "retrain_enabled" {
  type        = bool
  description = "Whether the schedule starts anything."
  default     = true
}

variable "retrain_timeout_s" {
  type        = number
  description = "Seconds after which a retraining is given up: two functions and their retries."
  default     = 3600
}

variable "alert_emails" {
  type        = set(string)
  description = "Addresses that hear of alarms; each has to confirm once."
  default     = []
}

variable "alarm_error_share" {
  type        = number
  description = "Share of the API's answers, 0-1, that may be errors."
  default     = 0.01
}

variable "alarm_slow_share" {
  type        = number
  description = "Share of the API's answers, 0-1, that may be slow."
  default     = 0.05
}

variable "alarm_period_s" {
  type        = number
  description = "Seconds of metrics that an alarm looks at."
  default     = 60
}
