# The retraining: a dataset from the lake, then a model from the dataset. A failure after all retries
# is published to the topic, with the error's message.
#
# Input, all of it optional:
#   {"dataset": <event of build_dataset>, "model": <event of train_als>, "release": true}
# With "release", the new model is released. Output: train_als's answer.

module "machine" {
  source = "../machine"

  name = var.name
  statements = [
    {
      sid       = "Call"
      action    = "lambda:InvokeFunction"
      resources = [var.build_dataset_arn, var.train_als_arn]
    },
    {
      sid       = "Release"
      action    = "states:StartExecution"
      resources = [var.release_machine_arn]
    },
  ]
  alerts_topic_arn = var.topic_arn
  account_id       = var.account_id
}

locals {
  catch = [{
    ErrorEquals = ["States.ALL"]
    ResultPath  = "$.failure"
    Next        = "TellFailure"
  }]

  call = {
    Type     = "Task"
    Resource = "arn:aws:states:::lambda:invoke"
    Retry    = module.machine.retry
    Catch    = local.catch
  }

  # A path to a missing field would end the execution: so every field is set.
  no_input = "States.StringToJson('{\"dataset\":{},\"model\":{},\"release\":false}')"
}

resource "aws_sfn_state_machine" "this" {
  name     = var.name
  role_arn = module.machine.role_arn

  definition = jsonencode({
    Comment        = "Build a dataset from the lake and train a model on it."
    StartAt        = "ReadInput"
    TimeoutSeconds = var.timeout_s
    States = merge(module.machine.failing, {
      ReadInput = {
        Type       = "Pass"
        Parameters = { "read.$" = "States.JsonMerge(${local.no_input}, $, false)" }
        OutputPath = "$.read"
        Next       = "BuildDataset"
      }
      BuildDataset = merge(local.call, {
        Parameters     = { FunctionName = var.build_dataset_arn, "Payload.$" = "$.dataset" }
        ResultSelector = { "answer.$" = "$.Payload" }
        ResultPath     = "$.built"
        Next           = "TrainModel"
      })
      TrainModel = merge(local.call, {
        Parameters = {
          FunctionName = var.train_als_arn
          "Payload.$"  = "States.JsonMerge($.model, $.built.answer, false)"
        }
        ResultSelector = { "answer.$" = "$.Payload" }
        ResultPath     = "$.trained"
        Next           = "IsReleased"
      })
      IsReleased = {
        Type    = "Choice"
        Choices = [{ Variable = "$.release", BooleanEquals = true, Next = "StartRelease" }]
        Default = "Trained"
      }
      StartRelease = {
        Type     = "Task"
        Resource = "arn:aws:states:::states:startExecution"
        Parameters = {
          StateMachineArn = var.release_machine_arn
          Input = {
            "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$" = "$$.Execution.Id"
            request                                        = { "model_version.$" = "$.trained.answer.model_version" }
          }
        }
        ResultPath = "$.started"
        Retry      = [{ ErrorEquals = ["States.ALL"], IntervalSeconds = 2, MaxAttempts = 3, BackoffRate = 2 }]
        Catch      = local.catch
        Next       = "Trained"
      }
      Trained = {
        Type       = "Succeed"
        OutputPath = "$.trained.answer"
      }
    })
  })
}
