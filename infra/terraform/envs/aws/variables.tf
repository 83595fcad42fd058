variable "name_prefix" {
  type        = string
  description = "What every name starts with; bucket names are unique in the world."
}

variable "region" {
  type        = string
  description = "The AWS region."
  default     = "us-east-1"
}

variable "package_paths" {
  type        = map(string)
  description = "Each function's zip on this machine, by the function's folder: build_dataset, train_als."
  default = {
    build_dataset = "../../../../build/packages/build_dataset.zip"
    train_als     = "../../../../build/packages/train_als.zip"
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
  description = "What each function gets, by its folder. 10240 MB is AWS's most, and six cores."
  default = {
    build_dataset = { memory_mb = 10240, ephemeral_mb = 4096 }
    train_als     = { memory_mb = 10240, ephemeral_mb = 4096 }
  }
}

variable "reserved_concurrency" {
  type        = number
  description = "Calls of one function that may run at once; -1 in an account that has ten in all."
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

variable "retrain_schedule" {
  type        = string
  description = "When the retraining starts, as an EventBridge expression."
  default     = "rate(3 days)"
}

variable "alert_emails" {
  type        = set(string)
  description = "Addresses that hear of alarms; each has to confirm once."
  default     = []
}
