variable "name_prefix" {
  type        = string
  description = "Prefix of the alarms' names."
}

variable "topic_name" {
  type        = string
  description = "Name of the SNS topic."
}

variable "emails" {
  type        = set(string)
  description = "Mail addresses for alarms; each has to confirm once."
  default     = []
}

variable "namespace" {
  type        = string
  description = "CloudWatch namespace of the product's own metrics."
}

variable "api_service" {
  type        = string
  description = "Dimension `service` of the API's metrics, for all versions."
}

variable "ingest_service" {
  type        = string
  description = "Dimension `service` of the ingest workers' metrics."
}

variable "functions" {
  type        = set(string)
  description = "Functions with an alarm on every failed call."
}

variable "state_machine_arns" {
  type        = map(string)
  description = "State machines with alarms, by the name in the alarms' names."
}

variable "quality_service" {
  type        = string
  description = "Dimension `service` of the live quality metrics."
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
  description = "Largest lag of the lake behind Kafka, in seconds."
}

variable "quarantine_share" {
  type        = number
  description = "Share of the lines, 0-1, that may be quarantined."
}

variable "period_s" {
  type        = number
  description = "Period of an alarm, in seconds."
}

variable "ingest_period_s" {
  type        = number
  description = "Period of the ingest workers' alarms, in seconds; their metrics come once a minute."
}
