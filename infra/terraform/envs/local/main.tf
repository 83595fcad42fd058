# The platform on LocalStack, which the provider finds by AWS_ENDPOINT_URL in its environment.

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

locals {
  account_id = "000000000000"
  region     = "us-east-1"
}

provider "aws" {
  region     = local.region
  access_key = "test"
  secret_key = "test"

  # AWS's 25 attempts would take minutes to fail without an emulator.
  max_retries = 3

  # Path-style URLs: <bucket>.127.0.0.1 is no host name.
  s3_use_path_style = true

  # Each would be a call to AWS itself before the first resource.
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

module "platform" {
  source = "../../modules/platform"

  name_prefix   = "movierec"
  account_id    = local.account_id
  region        = local.region
  package_paths = var.package_paths
  code_version  = var.code_version
  sizes         = var.sizes

  retrain_schedule       = var.retrain_schedule
  refresh_schedule       = var.refresh_schedule
  upkeep_schedule        = var.upkeep_schedule
  upkeep_enabled         = var.upkeep_enabled
  site                   = var.site
  watch_retention_days   = var.watch_retention_days
  vacuum_retention_hours = var.vacuum_retention_hours
  alert_emails           = var.alert_emails
  alarm_period_s         = var.alarm_period_s
  canary_alarm_period_s  = var.canary_alarm_period_s

  release_policy = var.release_policy
  slack_webhook  = var.slack_webhook

  language_model         = var.language_model
  language_model_api_key = var.language_model_api_key

  # A local trial: `terraform destroy` deletes buckets with their objects.
  force_destroy = true
}
