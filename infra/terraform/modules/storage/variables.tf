variable "name_prefix" {
  type        = string
  description = "Prefix of the buckets' names; on AWS they are globally unique."
}

variable "noncurrent_days" {
  type        = number
  description = "Days that a replaced or deleted object can be restored."
}

variable "incomplete_upload_days" {
  type        = number
  description = "Days after which the parts of an incomplete upload are deleted."
  default     = 2
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` may delete buckets with objects in them."
}
