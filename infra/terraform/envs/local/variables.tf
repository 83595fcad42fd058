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
  description = "What each function gets, by its folder. AWS's most, 10240 MB, is more than the machine may have."
  default = {
    build_dataset    = { memory_mb = 4096, ephemeral_mb = 2048 }
    train_als        = { memory_mb = 4096, ephemeral_mb = 2048 }
    lake_maintenance = { memory_mb = 2048 }
    rollout          = { memory_mb = 2048, timeout_s = 300 }
    rollback         = { memory_mb = 512, timeout_s = 60 }
    evaluate_online  = { memory_mb = 3008, timeout_s = 300 }
    notify           = { memory_mb = 256, timeout_s = 60 }
  }
}

variable "retrain_schedule" {
  type        = string
  description = "When the retraining starts, as an EventBridge expression."
  default     = "rate(3 days)"
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
}

variable "alert_emails" {
  type        = set(string)
  description = "Addresses that hear of alarms."
  default     = []
}

variable "alarm_period_s" {
  type        = number
  description = "Seconds of metrics that an alarm looks at; the emulator takes 10 as well."
  default     = 60
}

variable "canary_alarm_period_s" {
  type        = number
  description = "Seconds of metrics that a canary's alarm looks at: 10, 30 or a multiple of 60."
  default     = 10
}

variable "release_policy" {
  type        = any
  description = "What differs from the defaults of movierec.releases.policy.Policy, by field."
  default     = {}
}

variable "slack_webhook" {
  type        = string
  description = "URL that writes to a Slack channel; nothing is written if it is empty."
  default     = ""
  sensitive   = true
}
