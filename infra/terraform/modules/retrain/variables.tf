variable "name" {
  type        = string
  description = "Name of the state machine and its role."
}

variable "build_dataset_arn" {
  type        = string
  description = "The function that builds a dataset."
}

variable "train_als_arn" {
  type        = string
  description = "The function that trains a model; build_dataset's answer is part of its input."
}

variable "topic_arn" {
  type        = string
  description = "SNS topic of failed retrainings."
}

variable "release_machine_arn" {
  type        = string
  description = "ARN of the release state machine."
}

variable "timeout_s" {
  type        = number
  description = "Timeout of a retraining, in seconds."
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
