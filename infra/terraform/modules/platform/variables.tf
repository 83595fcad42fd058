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
  description = "Each function's zip on this machine, by the function's folder."
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

variable "upkeep_schedule" {
  type        = string
  description = "When the lake's upkeep starts, as an EventBridge expression."
  default     = "rate(5 minutes)"
}

variable "upkeep_enabled" {
  type        = bool
  description = "Whether that schedule starts anything."
  default     = true
}

variable "watch_retention_days" {
  type        = number
  description = "Days that raw watch events stay in the lake; 0 keeps them for ever."
  default     = 180
}

variable "vacuum_retention_hours" {
  type        = number
  description = "Hours that the lake keeps what was deleted or replaced, and can be read as it was."
  default     = 720

  validation {
    condition     = var.vacuum_retention_hours >= 168
    error_message = "vacuum_retention_hours: a week, 168, or more, or files still in use would be taken."
  }
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

variable "alarm_ingest_lag_s" {
  type        = number
  description = "Seconds that a line may be in Kafka and not in the lake. A restart or a rebalance takes under a minute, and Kafka keeps lines for days: time enough to act."
  default     = 300
}

variable "alarm_quarantine_share" {
  type        = number
  description = "Share of a minute's lines, 0-1, that may be junk. The course's stream has 0.002; a kind of line that changed its form is a twentieth or more."
  default     = 0.05
}

variable "alarm_ingest_period_s" {
  type        = number
  description = "Seconds of the ingest workers' metrics that an alarm looks at. They tell theirs once a minute, not on the second: 300 hold four at least."
  default     = 300
}

variable "release_policy" {
  type        = any
  description = "What differs from the defaults of movierec.releases.policy.Policy, by field."
  default     = {}
}

variable "release_timeout_s" {
  type        = number
  description = "Seconds after which a release's execution is given up: all its steps at their limits."
  default     = 259200
}

variable "release_after_retraining" {
  type        = bool
  description = "Whether a scheduled retraining releases its model."
  default     = true
}

variable "release_emails" {
  type        = set(string)
  description = "Addresses that hear of releases; each has to confirm once."
  default     = []
}

variable "slack_webhook" {
  type        = string
  description = "URL that writes to a Slack channel; nothing is written if it is empty."
  default     = ""
  sensitive   = true
}

variable "canary_alarm_period_s" {
  type        = number
  description = "Seconds of metrics that a canary's alarm looks at: 10, 30 or a multiple of 60. Below 60, AWS has nothing to show for Lambda's own metrics."
  default     = 60
}

variable "canary_error_share" {
  type        = number
  description = "Share of a canary's answers, 0-1, that may be errors before it is rolled back."
  default     = 0.05
}

variable "canary_duration_ms" {
  type        = number
  description = "How long a canary's calls may last on average before it is rolled back; the proxy waits for 400 ms."
  default     = 300
}

variable "canary_slow_share" {
  type        = number
  description = "Share of a canary's answers, 0-1, that may be slow before it is rolled back."
  default     = 0.2
}

variable "evaluate_schedule" {
  type        = string
  description = "When the live quality is measured outside of releases, as an EventBridge expression."
  default     = "rate(1 hour)"
}

variable "model_age_days" {
  type        = number
  description = "Days after which the serving model is too old."
  default     = 7
}
