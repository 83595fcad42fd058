variable "name_prefix" {
  type        = string
  description = "Prefix of every name; bucket names are globally unique."

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
  description = "Memory, /tmp size and timeout of each function, by its folder."
}

variable "reserved_concurrency" {
  type        = number
  description = "Reserved concurrency of each function; -1 for the account's pool."
  default     = 1
}

variable "log_retention_days" {
  type        = number
  description = "Retention of the logs, in days."
  default     = 30
}

variable "noncurrent_days" {
  type        = number
  description = "Days that a replaced or deleted object can be restored."
  default     = 30
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` may delete buckets with objects in them."
  default     = false
}

variable "retrain_schedule" {
  type        = string
  description = "Schedule of the retraining, as an EventBridge expression."
  default     = "rate(3 days)"
}

variable "retrain_enabled" {
  type        = bool
  description = "Whether that schedule is enabled."
  default     = true
}

variable "refresh_schedule" {
  type        = string
  description = "Schedule of the refresh of lists between trainings, as an EventBridge expression."
  default     = "rate(5 minutes)"
}

variable "upkeep_schedule" {
  type        = string
  description = "Schedule of lake maintenance, as an EventBridge expression."
  default     = "rate(5 minutes)"
}

variable "upkeep_enabled" {
  type        = bool
  description = "Whether that schedule is enabled."
  default     = true
}

variable "watch_retention_days" {
  type        = number
  description = "Retention of raw watch events in the lake, in days; 0 keeps them for ever."
  default     = 180
}

variable "vacuum_retention_hours" {
  type        = number
  description = "Hours that deleted or replaced files of the lake stay readable by time travel."
  default     = 720

  validation {
    condition     = var.vacuum_retention_hours >= 168
    error_message = "vacuum_retention_hours: a week, 168, or more, or vacuum would remove files still in use."
  }
}

variable "retrain_timeout_s" {
  type        = number
  description = "Timeout of a retraining, in seconds: two functions and their retries."
  default     = 3600
}

variable "alert_emails" {
  type        = set(string)
  description = "Mail addresses for alarms; each has to confirm once."
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
  description = "Period of an alarm, in seconds."
  default     = 60
}

variable "alarm_ingest_lag_s" {
  type        = number
  description = "Largest lag of the lake behind Kafka, in seconds. A restart or a rebalance takes under a minute, and Kafka keeps lines for days: time enough to act."
  default     = 300
}

variable "alarm_quarantine_share" {
  type        = number
  description = "Share of a minute's lines, 0-1, that may be quarantined. The course's stream has 0.002; a kind of line whose format changes is a twentieth or more."
  default     = 0.05
}

variable "alarm_ingest_period_s" {
  type        = number
  description = "Period of the ingest workers' alarms, in seconds. They publish once a minute, not on the second: 300 have at least four data points."
  default     = 300
}

variable "release_policy" {
  type        = any
  description = "Overrides of movierec.releases.policy.Policy's defaults, by field."
  default     = {}
}

variable "release_timeout_s" {
  type        = number
  description = "Timeout of a release's execution, in seconds: all its steps at their limits."
  default     = 259200
}

variable "release_after_retraining" {
  type        = bool
  description = "Whether a scheduled retraining releases its model."
  default     = true
}

variable "release_emails" {
  type        = set(string)
  description = "Mail addresses for release notifications; each has to confirm once."
  default     = []
}

variable "slack_webhook" {
  type        = string
  description = "URL of a Slack incoming webhook; no messages if it is empty."
  default     = ""
  sensitive   = true
}

variable "language_model" {
  type = object({
    url            = string
    name           = string
    prompt_usd     = number
    completion_usd = number
    budget_usd     = optional(number, 1)
    limit_s        = optional(number, 20)
    api_key_secret = optional(string, "")
  })
  description = "The language model that reads self-descriptions: base URL, name, dollars for a million prompt and completion tokens, dollars a day, seconds a run, ARN of the secret with the API's key; none if null."
  default     = null
}

variable "language_model_api_key" {
  type        = string
  description = "The API's key where there is no secret for it; it is in the function's environment and in Terraform's state."
  default     = ""
  sensitive   = true
}

variable "canary_alarm_period_s" {
  type        = number
  description = "Period of a canary's alarm, in seconds: 10, 30 or a multiple of 60. Lambda's own metrics have no resolution below 60."
  default     = 60
}

variable "canary_error_share" {
  type        = number
  description = "Share of a canary's answers, 0-1, that may be errors before it is rolled back."
  default     = 0.05
}

variable "canary_duration_ms" {
  type        = number
  description = "Milliseconds that a canary's calls may last on average before it is rolled back; the proxy's deadline is 400 ms."
  default     = 300
}

variable "canary_slow_share" {
  type        = number
  description = "Share of a canary's answers, 0-1, that may be slow before it is rolled back."
  default     = 0.2
}

variable "evaluate_schedule" {
  type        = string
  description = "Schedule of the online evaluation outside of releases, as an EventBridge expression."
  default     = "rate(1 hour)"
}

variable "model_age_days" {
  type        = number
  description = "Days after which the serving model is too old."
  default     = 7
}

variable "site" {
  type        = map(string)
  description = "The site's settings for the functions that read its events, by environment variable."
  default     = {}
}
