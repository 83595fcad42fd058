variable "name_prefix" {
  type        = string
  description = "What the alarms' names start with."
}

variable "topic_name" {
  type        = string
  description = "Name of the SNS topic."
}

variable "emails" {
  type        = set(string)
  description = "Addresses that are told; each has to confirm once."
  default     = []
}

variable "namespace" {
  type        = string
  description = "CloudWatch namespace of the product's own metrics."
}

variable "api_service" {
  type        = string
  description = "What the API calls itself in its metrics, whatever its version."
}

variable "ingest_service" {
  type        = string
  description = "What the ingest workers call themselves in their metrics."
}

variable "functions" {
  type        = set(string)
  description = "Functions of which every failed call is told."
}

variable "state_machine_arns" {
  type        = map(string)
  description = "State machines to watch, by the name that their alarms have."
}

variable "quality_service" {
  type        = string
  description = "Dimension `service` of the live quality."
}

variable "model_age_days" {
  type        = number
  description = "Days after which the serving model is too old."
}

variable "error_share" {
  type        = number
  description = "Share of answers, 0-1, that may be errors."
}

variable "slow_share" {
  type        = number
  description = "Share of answers, 0-1, that may be slow."
}

variable "ingest_lag_s" {
  type        = number
  description = "Seconds that a line may be in Kafka and not in the lake."
}

variable "quarantine_share" {
  type        = number
  description = "Share of the lines, 0-1, that may be junk."
}

variable "period_s" {
  type        = number
  description = "Seconds of metrics that an alarm looks at."
}

variable "ingest_period_s" {
  type        = number
  description = "The same of the ingest workers' metrics, which come once a minute."
}
