variable "name_prefix" {
  type        = string
  description = "What the buckets' names start with; on AWS they are unique in the world."
}

variable "noncurrent_days" {
  type        = number
  description = "Days that a replaced or deleted object can still be brought back."
}

variable "incomplete_upload_days" {
  type        = number
  description = "Days after which the parts of an upload that never ended are dropped."
  default     = 2
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` may delete buckets with objects in them."
}
