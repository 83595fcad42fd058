variable "name_prefix" {
  type        = string
  description = "Prefix of every name; bucket names are globally unique."
}

variable "region" {
  type        = string
  description = "The AWS region."
  default     = "us-east-1"
}

variable "package_paths" {
  type        = map(string)
  description = "Each function's zip on this machine, by the function's folder."
  default = {
    build_dataset    = "../../../../build/packages/build_dataset.zip"
    train_als        = "../../../../build/packages/train_als.zip"
    lake_maintenance = "../../../../build/packages/lake_maintenance.zip"
    refresh          = "../../../../build/packages/refresh.zip"
    rollout          = "../../../../build/packages/rollout.zip"
    rollback         = "../../../../build/packages/rollback.zip"
    evaluate_online  = "../../../../build/packages/evaluate_online.zip"
    notify           = "../../../../build/packages/notify.zip"
  }
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
  description = "Memory, /tmp size and timeout of each function, by its folder. AWS's largest is 10240 MB, with six cores."
  default = {
    build_dataset    = { memory_mb = 10240, ephemeral_mb = 4096 }
    train_als        = { memory_mb = 10240, ephemeral_mb = 4096 }
    lake_maintenance = { memory_mb = 3072 }
    refresh          = { memory_mb = 4096, timeout_s = 300 }
    rollout          = { memory_mb = 3008, timeout_s = 300 }
    rollback         = { memory_mb = 1769, timeout_s = 60 }
    evaluate_online  = { memory_mb = 10240, timeout_s = 900 }
    notify           = { memory_mb = 256, timeout_s = 60 }
  }
}

variable "reserved_concurrency" {
  type        = number
  description = "Reserved concurrency of each function; -1 in an account with a limit of ten."
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

variable "retrain_schedule" {
  type        = string
  description = "Schedule of the retraining, as an EventBridge expression."
  default     = "rate(3 days)"
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
}

variable "alert_emails" {
  type        = set(string)
  description = "Mail addresses for alarms; each has to confirm once."
  default     = []
}

variable "release_policy" {
  type        = any
  description = "Overrides of movierec.releases.policy.Policy's defaults, by field."
  default     = {}
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

variable "site" {
  type        = map(string)
  description = "The site's settings for the functions that read its events, by environment variable."
  default     = {}
}
