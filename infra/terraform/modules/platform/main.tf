# The platform that envs/local and envs/aws share.
#
# Names, and ARNs that follow from them, are computed here, not read from created resources. So a
# role does not wait for a bucket, and a plan shows every policy in full.

locals {
  name = var.name_prefix

  bucket = { for use in ["lake", "artifacts", "packages"] : use => "${local.name}-${use}" }
  s3     = { for use, name in local.bucket : use => "arn:aws:s3:::${name}" }

  api_name      = "${local.name}-api"
  alias         = "live"
  namespace     = "movierec"
  topic_name    = "${local.name}-alerts"
  retrain_name  = "${local.name}-retrain"
  topic_arn     = "arn:aws:sns:${var.region}:${var.account_id}:${local.topic_name}"
  brake_name    = "${local.name}-brake"
  releases_name = "${local.name}-releases"
  brake_arn     = "arn:aws:sns:${var.region}:${var.account_id}:${local.brake_name}"
  releases_arn  = "arn:aws:sns:${var.region}:${var.account_id}:${local.releases_name}"
  api_role_arn  = "arn:aws:iam::${var.account_id}:role/${local.api_name}"
  release_name  = "${local.name}-release"
  release_arn   = "arn:aws:states:${var.region}:${var.account_id}:stateMachine:${local.release_name}"
  rollout_name  = "${local.name}-rollout"
  rollout_arn   = "arn:aws:lambda:${var.region}:${var.account_id}:function:${local.rollout_name}"
  api_arn       = "arn:aws:lambda:${var.region}:${var.account_id}:function:${local.api_name}"
  retrain_arn   = "arn:aws:states:${var.region}:${var.account_id}:stateMachine:${local.retrain_name}"
  function_name = { for key in keys(local.functions) : key => "${local.name}-${replace(key, "_", "-")}" }
  function_arn = {
    for key, name in local.function_name :
    key => "arn:aws:lambda:${var.region}:${var.account_id}:function:${name}"
  }

  write  = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
  delete = ["s3:DeleteObject"]

  # Permissions to change the API's traffic split and its release log.
  releasing = [
    { sid = "ReadModels", actions = ["s3:GetObject"], resources = ["${local.s3.artifacts}/models/*"] },
    { sid = "WriteReleases", actions = local.write, resources = ["${local.s3.artifacts}/releases/*"] },
    {
      sid       = "ListReleases"
      actions   = ["s3:ListBucket"]
      resources = [local.s3.artifacts]
      prefixes  = ["models/*", "releases/*"]
    },
    {
      sid       = "MoveUsers"
      actions   = ["lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetFunctionConfiguration"]
      resources = [local.api_arn, "${local.api_arn}:*"]
    },
    {
      sid     = "CanaryAlarms"
      actions = ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"]
      resources = [
        "arn:aws:cloudwatch:${var.region}:${var.account_id}:alarm:${local.name}-canary-*",
      ]
    },
    { sid = "Tell", actions = ["sns:Publish"], resources = [local.releases_arn] },
  ]

  releasing_environment = {
    MOVIEREC_API_FUNCTION   = local.api_name
    MOVIEREC_CANARY_ALARMS  = jsonencode(module.brake.template)
    MOVIEREC_RELEASES_TOPIC = local.releases_arn
    MOVIEREC_RELEASE_POLICY = jsonencode(var.release_policy)
  }

  language_model_environment = var.language_model == null ? {} : {
    MOVIEREC_LANGUAGE_MODEL_URL            = var.language_model.url
    MOVIEREC_LANGUAGE_MODEL_NAME           = var.language_model.name
    MOVIEREC_LANGUAGE_MODEL_PROMPT_USD     = tostring(var.language_model.prompt_usd)
    MOVIEREC_LANGUAGE_MODEL_COMPLETION_USD = tostring(var.language_model.completion_usd)
    MOVIEREC_LANGUAGE_MODEL_BUDGET_USD     = tostring(var.language_model.budget_usd)
    MOVIEREC_LANGUAGE_MODEL_LIMIT_S        = tostring(var.language_model.limit_s)
    MOVIEREC_LANGUAGE_MODEL_API_KEY_SECRET = var.language_model.api_key_secret
    MOVIEREC_LANGUAGE_MODEL_API_KEY        = var.language_model_api_key
  }

  # Its answers and what they cost, and the key.
  reading_by_language_model = concat(
    [for model in [var.language_model] : {
      sid       = "KeepTastes"
      actions   = local.write
      resources = ["${local.s3.artifacts}/tastes/*"]
    } if model != null],
    [for model in [var.language_model] : {
      sid       = "ListSpending"
      actions   = ["s3:ListBucket"]
      resources = [local.s3.artifacts]
      prefixes  = ["tastes/spending/*"]
    } if model != null],
    [for model in [var.language_model] : {
      sid       = "ReadKey"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [model.api_key_secret]
    } if try(model.api_key_secret, "") != ""],
  )

  functions = {
    build_dataset = {
      description = "Builds a dataset from the lake."
      environment = merge(var.site, { MOVIEREC_API_FUNCTION = local.api_name })
      statements = [
        # The released model, whose data set the new one is compared with.
        {
          sid       = "ReadReleased"
          actions   = ["lambda:GetFunctionConfiguration"]
          resources = ["${local.api_arn}:*"]
        },
        { sid = "ReadModels", actions = ["s3:GetObject"], resources = ["${local.s3.artifacts}/models/*"] },
        { sid = "ReadLake", actions = ["s3:GetObject"], resources = ["${local.s3.lake}/*"] },
        { sid = "ListLake", actions = ["s3:ListBucket"], resources = [local.s3.lake] },
        { sid = "WriteDatasets", actions = local.write, resources = ["${local.s3.artifacts}/datasets/*"] },
        {
          sid       = "ListDatasets"
          actions   = ["s3:ListBucket"]
          resources = [local.s3.artifacts]
          prefixes  = ["datasets/*", "models/*"]
        },
      ]
    }
    lake_maintenance = {
      description = "Deletes old rows of the lake, joins small files, takes away past ones."
      environment = {
        MOVIEREC_WATCH_RETENTION_DAYS   = tostring(var.watch_retention_days)
        MOVIEREC_VACUUM_RETENTION_HOURS = tostring(var.vacuum_retention_hours)
      }
      statements = [
        { sid = "MaintainLake", actions = concat(local.write, local.delete), resources = ["${local.s3.lake}/*"] },
        { sid = "ListLake", actions = ["s3:ListBucket"], resources = [local.s3.lake] },
      ]
    }
    train_als = {
      description = "Trains a model on a dataset."
      # implicit has its own threads; BLAS threads below them would oversubscribe the CPUs.
      environment = {
        OPENBLAS_NUM_THREADS  = "1"
        MOVIEREC_API_FUNCTION = local.api_name
      }
      statements = [
        { sid = "ReadDatasets", actions = ["s3:GetObject"], resources = ["${local.s3.artifacts}/datasets/*"] },
        { sid = "WriteModels", actions = local.write, resources = ["${local.s3.artifacts}/models/*"] },
        {
          sid       = "ListBoth"
          actions   = ["s3:ListBucket"]
          resources = [local.s3.artifacts]
          prefixes  = ["datasets/*", "models/*"]
        },
        # A new model is compared with the one in production.
        {
          sid       = "KnowProduction"
          actions   = ["lambda:GetFunctionConfiguration"]
          resources = ["${local.api_arn}:*"]
        },
      ]
    }
    refresh = {
      description = "Refreshes lists between trainings, by what users did since."
      environment = merge(
        var.site, local.language_model_environment, { MOVIEREC_API_FUNCTION = local.api_name },
      )
      statements = concat(local.reading_by_language_model, [
        { sid = "ReadLake", actions = ["s3:GetObject"], resources = ["${local.s3.lake}/*"] },
        { sid = "ListLake", actions = ["s3:ListBucket"], resources = [local.s3.lake] },
        {
          sid       = "ReadModels"
          actions   = ["s3:GetObject"]
          resources = ["${local.s3.artifacts}/datasets/*", "${local.s3.artifacts}/models/*"]
        },
        { sid = "WriteOverlays", actions = local.write, resources = ["${local.s3.artifacts}/overlays/*"] },
        # Old ones, and never what is withdrawn.
        { sid = "ForgetOverlays", actions = local.delete, resources = ["${local.s3.artifacts}/overlays/*/*"] },
        {
          sid       = "ListOverlays"
          actions   = ["s3:ListBucket"]
          resources = [local.s3.artifacts]
          prefixes  = ["datasets/*", "models/*", "overlays/*"]
        },
        {
          sid       = "SeeServed"
          actions   = ["lambda:GetAlias", "lambda:GetFunctionConfiguration"]
          resources = [local.api_arn, "${local.api_arn}:*"]
        },
      ])
    }
    rollout = {
      description = "Carries out the actions of a release."
      environment = local.releasing_environment
      statements = concat(local.releasing, [
        {
          sid = "CutVersions"
          actions = [
            "lambda:CreateAlias",
            "lambda:InvokeFunction",
            "lambda:ListVersionsByFunction",
            "lambda:PublishVersion",
            "lambda:UpdateFunctionConfiguration",
          ]
          resources = [local.api_arn, "${local.api_arn}:*"]
        },
        { sid = "MarkModels", actions = local.write, resources = ["${local.s3.artifacts}/gates/*"] },
        # UpdateFunctionConfiguration passes the function's role.
        { sid = "PassRole", actions = ["iam:PassRole"], resources = [local.api_role_arn] },
      ])
    }
    rollback = {
      description = "Takes a canary's users away when its alarm says so."
      environment = merge(local.releasing_environment, {
        MOVIEREC_ROLLOUT_FUNCTION = local.rollout_name
      })
      statements = concat(local.releasing, [
        { sid = "RequestPages", actions = ["lambda:InvokeFunction"], resources = [local.rollout_arn] },
      ])
    }
    evaluate_online = {
      description = "Compares what users did with the lists of canary and stable version."
      environment = merge(var.site, { MOVIEREC_RELEASE_POLICY = jsonencode(var.release_policy) })
      statements = [
        { sid = "ReadLake", actions = ["s3:GetObject"], resources = ["${local.s3.lake}/*"] },
        { sid = "ListLake", actions = ["s3:ListBucket"], resources = [local.s3.lake] },
        {
          sid       = "WriteTrials"
          actions   = local.write
          resources = ["${local.s3.artifacts}/releases/*/trials/*"]
        },
      ]
    }
    notify = {
      description = "Writes release notices to a chat."
      environment = { MOVIEREC_SLACK_WEBHOOK = var.slack_webhook }
      statements = [
        {
          sid       = "WriteNotices"
          actions   = local.write
          resources = ["${local.s3.artifacts}/releases/*/notices/*"]
        },
        {
          sid       = "ListNotices"
          actions   = ["s3:ListBucket"]
          resources = [local.s3.artifacts]
          prefixes  = ["releases/*"]
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

moved {
  from = module.function["keep_lake"]
  to   = module.function["lake_maintenance"]
}

module "retrain" {
  source = "../retrain"

  name                = local.retrain_name
  build_dataset_arn   = local.function_arn.build_dataset
  train_als_arn       = local.function_arn.train_als
  release_machine_arn = local.release_arn
  topic_arn           = local.topic_arn
  timeout_s           = var.retrain_timeout_s
  account_id          = var.account_id
}

module "release" {
  source = "../release"

  name                = local.release_name
  rollout_arn         = local.function_arn.rollout
  evaluate_online_arn = local.function_arn.evaluate_online
  alerts_topic_arn    = local.topic_arn
  timeout_s           = var.release_timeout_s
  account_id          = var.account_id
}

module "brake" {
  source = "../brake"

  name_prefix   = local.name
  topic_name    = local.brake_name
  topic_arn     = local.brake_arn
  rollback_arn  = local.function_arn.rollback
  rollback_name = module.function["rollback"].name
  api_function  = local.api_name
  alias         = local.alias
  namespace     = local.namespace
  error_share   = var.canary_error_share
  slow_share    = var.canary_slow_share
  duration_ms   = var.canary_duration_ms
  period_s      = var.canary_alarm_period_s
}

module "notices" {
  source = "../notices"

  topic_name  = local.releases_name
  emails      = var.release_emails
  notify_arn  = local.function_arn.notify
  notify_name = module.function["notify"].name
}

module "schedule" {
  source = "../schedule"

  name        = "${local.name}-schedule"
  description = "Starts the retraining."
  schedule    = var.retrain_schedule
  enabled     = var.retrain_enabled
  target_arn  = local.retrain_arn
  input       = { release = var.release_after_retraining }
  account_id  = var.account_id
}

module "upkeep_schedule" {
  source = "../schedule"

  name          = "${local.name}-upkeep"
  description   = "Starts the lake's upkeep."
  schedule      = var.upkeep_schedule
  enabled       = var.upkeep_enabled
  target_arn    = local.function_arn.lake_maintenance
  function_name = module.function["lake_maintenance"].name
  account_id    = var.account_id
}

module "refresh_schedule" {
  source = "../schedule"

  name          = "${local.name}-refresh"
  description   = "Starts the refresh of lists between trainings."
  schedule      = var.refresh_schedule
  enabled       = true
  target_arn    = local.function_arn.refresh
  function_name = module.function["refresh"].name
  account_id    = var.account_id
}

module "evaluate_schedule" {
  source = "../schedule"

  name          = "${local.name}-evaluate"
  description   = "Starts the measuring of live quality."
  schedule      = var.evaluate_schedule
  enabled       = true
  input         = { window_s = 86400 }
  target_arn    = local.function_arn.evaluate_online
  function_name = module.function["evaluate_online"].name
  account_id    = var.account_id
}

module "api" {
  source = "../api"

  name               = local.api_name
  artifacts_bucket   = local.bucket.artifacts
  log_retention_days = var.log_retention_days
  account_id         = var.account_id
  region             = var.region
}

module "alerts" {
  source = "../alerts"

  name_prefix        = local.name
  topic_name         = local.topic_name
  emails             = var.alert_emails
  namespace          = local.namespace
  api_service        = "movierec-api"
  functions          = setunion(values(local.function_name), [local.api_name])
  state_machine_arns = { retrain = local.retrain_arn, release = local.release_arn }
  quality_service    = "movierec-quality"
  model_age_days     = var.model_age_days
  error_share        = var.alarm_error_share
  slow_share         = var.alarm_slow_share
  ingest_service     = "movierec-ingest"
  ingest_lag_s       = var.alarm_ingest_lag_s
  quarantine_share   = var.alarm_quarantine_share
  period_s           = var.alarm_period_s
  ingest_period_s    = var.alarm_ingest_period_s
}
