# The whole: what envs/local and envs/aws both consist of.
#
# Names and ARNs that follow from names are made here, not read back from what was made. So a role
# does not wait for a bucket, and a plan shows every policy in full.

locals {
  name = var.name_prefix

  bucket = { for use in ["lake", "artifacts", "packages"] : use => "${local.name}-${use}" }
  s3     = { for use, name in local.bucket : use => "arn:aws:s3:::${name}" }

  topic_name    = "${local.name}-alerts"
  retrain_name  = "${local.name}-retrain"
  topic_arn     = "arn:aws:sns:${var.region}:${var.account_id}:${local.topic_name}"
  retrain_arn   = "arn:aws:states:${var.region}:${var.account_id}:stateMachine:${local.retrain_name}"
  function_name = { for key in keys(local.functions) : key => "${local.name}-${replace(key, "_", "-")}" }
  function_arn = {
    for key, name in local.function_name :
    key => "arn:aws:lambda:${var.region}:${var.account_id}:function:${name}"
  }

  write  = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
  delete = ["s3:DeleteObject"]

  functions = {
    build_dataset = {
      description = "Builds a dataset from the lake."
      environment = {}
      statements = [
        { sid = "ReadLake", actions = ["s3:GetObject"], resources = ["${local.s3.lake}/*"] },
        { sid = "ListLake", actions = ["s3:ListBucket"], resources = [local.s3.lake] },
        { sid = "WriteDatasets", actions = local.write, resources = ["${local.s3.artifacts}/datasets/*"] },
        {
          sid       = "ListDatasets"
          actions   = ["s3:ListBucket"]
          resources = [local.s3.artifacts]
          prefixes  = ["datasets/*"]
        },
      ]
    }
    keep_lake = {
      description = "Deletes old rows of the lake, joins small files, takes away past ones."
      environment = {
        MOVIEREC_WATCH_RETENTION_DAYS   = tostring(var.watch_retention_days)
        MOVIEREC_VACUUM_RETENTION_HOURS = tostring(var.vacuum_retention_hours)
      }
      statements = [
        { sid = "KeepLake", actions = concat(local.write, local.delete), resources = ["${local.s3.lake}/*"] },
        { sid = "ListLake", actions = ["s3:ListBucket"], resources = [local.s3.lake] },
      ]
    }
    train_als = {
      description = "Trains a model on a dataset."
      # implicit runs its own threads; BLAS threads below them only get in the way.
      environment = { OPENBLAS_NUM_THREADS = "1" }
      statements = [
        { sid = "ReadDatasets", actions = ["s3:GetObject"], resources = ["${local.s3.artifacts}/datasets/*"] },
        { sid = "WriteModels", actions = local.write, resources = ["${local.s3.artifacts}/models/*"] },
        {
          sid       = "ListBoth"
          actions   = ["s3:ListBucket"]
          resources = [local.s3.artifacts]
          prefixes  = ["datasets/*", "models/*"]
        },
      ]
    }
  }
}

module "storage" {
  source = "../storage"

  name_prefix     = local.name
  noncurrent_days = var.noncurrent_days
  force_destroy   = var.force_destroy
}

module "function" {
  source   = "../function"
  for_each = local.functions

  name                 = local.function_name[each.key]
  description          = each.value.description
  handler              = "functions.${each.key}.handler.handler"
  package_path         = var.package_paths[each.key]
  packages_bucket      = module.storage.bucket_names["packages"]
  memory_mb            = var.sizes[each.key].memory_mb
  ephemeral_mb         = var.sizes[each.key].ephemeral_mb
  timeout_s            = var.sizes[each.key].timeout_s
  reserved_concurrency = var.reserved_concurrency
  statements           = each.value.statements
  log_retention_days   = var.log_retention_days
  account_id           = var.account_id
  region               = var.region

  environment = merge(each.value.environment, {
    MOVIEREC_LAKE_BUCKET      = local.bucket.lake
    MOVIEREC_ARTIFACTS_BUCKET = local.bucket.artifacts
    MOVIEREC_CODE_VERSION     = var.code_version
    POWERTOOLS_SERVICE_NAME   = local.function_name[each.key]
  })
}

module "retrain" {
  source = "../retrain"

  name              = local.retrain_name
  build_dataset_arn = local.function_arn.build_dataset
  train_als_arn     = local.function_arn.train_als
  topic_arn         = local.topic_arn
  timeout_s         = var.retrain_timeout_s
  account_id        = var.account_id
}

module "schedule" {
  source = "../schedule"

  name        = "${local.name}-schedule"
  description = "Starts the retraining."
  schedule    = var.retrain_schedule
  enabled     = var.retrain_enabled
  target_arn  = local.retrain_arn
  account_id  = var.account_id
}

module "upkeep_schedule" {
  source = "../schedule"

  name          = "${local.name}-upkeep"
  description   = "Starts the lake's upkeep."
  schedule      = var.upkeep_schedule
  enabled       = var.upkeep_enabled
  target_arn    = local.function_arn.keep_lake
  function_name = module.function["keep_lake"].name
  account_id    = var.account_id
}

module "api" {
  source = "../api"

  name               = "${local.name}-api"
  artifacts_bucket   = local.bucket.artifacts
  log_retention_days = var.log_retention_days
  account_id         = var.account_id
  region             = var.region
}

module "alerts" {
  source = "../alerts"

  name_prefix       = local.name
  topic_name        = local.topic_name
  emails            = var.alert_emails
  namespace         = "movierec"
  api_service       = "movierec-api"
  functions         = setunion(values(local.function_name), ["${local.name}-api"])
  state_machine_arn = local.retrain_arn
  error_share       = var.alarm_error_share
  slow_share        = var.alarm_slow_share
  ingest_service    = "movierec-ingest"
  ingest_lag_s      = var.alarm_ingest_lag_s
  quarantine_share  = var.alarm_quarantine_share
  period_s          = var.alarm_period_s
  ingest_period_s   = var.alarm_ingest_period_s
}
