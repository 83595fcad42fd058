# The platform on AWS. Credentials come from the environment; the state is in an existing bucket
# (`terraform init -backend-config=backend.hcl`, see backend.hcl.example).

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  backend "s3" {
    key     = "movierec/terraform.tfstate"
    encrypt = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.name_prefix }
  }
}

data "aws_caller_identity" "current" {}

module "platform" {
  source = "../../modules/platform"

  name_prefix   = var.name_prefix
  account_id    = data.aws_caller_identity.current.account_id
  region        = var.region
  package_paths = var.package_paths
  code_version  = var.code_version
  sizes         = var.sizes

  reserved_concurrency   = var.reserved_concurrency
  log_retention_days     = var.log_retention_days
  noncurrent_days        = var.noncurrent_days
  retrain_schedule       = var.retrain_schedule
  refresh_schedule       = var.refresh_schedule
  upkeep_schedule        = var.upkeep_schedule
  upkeep_enabled         = var.upkeep_enabled
  site                   = var.site
  watch_retention_days   = var.watch_retention_days
  vacuum_retention_hours = var.vacuum_retention_hours
  alert_emails           = var.alert_emails

  release_policy           = var.release_policy
  release_after_retraining = var.release_after_retraining
  release_emails           = var.release_emails
  slack_webhook            = var.slack_webhook

  language_model         = var.language_model
  language_model_api_key = var.language_model_api_key
}
