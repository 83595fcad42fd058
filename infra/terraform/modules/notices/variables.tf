variable "topic_name" {
  type        = string
  description = "Name of the topic."
}

variable "emails" {
  type        = set(string)
  description = "Addresses that hear of releases; each has to confirm once."
}

variable "notify_arn" {
  type        = string
  description = "ARN of the function that writes to the chat."
}

variable "notify_name" {
  type        = string
  description = "Name of that function."
}
