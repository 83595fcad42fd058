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
  description = "The function that trains a model; it gets what build_dataset answered, too."
}

variable "topic_arn" {
  type        = string
  description = "SNS topic that hears of a failed retraining."
}

variable "release_machine_arn" {
  type        = string
  description = "ARN of the state machine that releases a model."
}

variable "timeout_s" {
  type        = number
  description = "Seconds after which a retraining is given up."
}

variable "account_id" {
  type        = string
  description = "The AWS account."
}
