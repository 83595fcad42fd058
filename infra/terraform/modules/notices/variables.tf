variable "topic_name" {
  type        = string
  description = "Name of the topic."
}

variable "emails" {
  type        = set(string)
  description = "Mail addresses for release notifications; each has to confirm once."
}

variable "notify_arn" {
  type        = string
  description = "ARN of the function that writes to Slack."
}

variable "notify_name" {
  type        = string
  description = "Name of that function."
}
