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
  description = "What each function gets, by its folder. AWS's most, 10240 MB, is more than the machine may have."
  default = {
    build_dataset = { memory_mb = 4096, ephemeral_mb = 2048 }
    train_als     = { memory_mb = 4096, ephemeral_mb = 2048 }
  }
}

variable "retrain_schedule" {
  type        = string
  description = "When the retraining starts, as an EventBridge expression."
  default     = "rate(3 days)"
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
