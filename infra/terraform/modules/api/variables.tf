variable "name" {
  type        = string
  description = "Name of the API's function, as Chalice makes it, and of its role."
}

variable "artifacts_bucket" {
  type        = string
  description = "Bucket that the models are read from."
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
