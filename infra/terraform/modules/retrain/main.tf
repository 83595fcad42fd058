# The retraining: a dataset from the lake, then a model from the dataset. What fails for good is
# told to the topic, with the error's own words.
#
# Input, all of it optional:
#   {"dataset": <event of build_dataset>, "model": <event of train_als>, "release": true}
# With "release", the new model is released. Output: what train_als answered.

locals {
  # What AWS asks every caller of Lambda to retry, and what a busy account answers:
  # https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
  # Errors of the functions themselves are not retried: the same input fails the same way.
  retry = [{
    ErrorEquals = [
      "Lambda.ClientExecutionTimeoutException",
      "Lambda.ServiceException",
      "Lambda.AWSLambdaException",
      "Lambda.SdkClientException",
      "Lambda.TooManyRequestsException",
      # A function that was just made, or slept for weeks, is Pending for a moment:
      # https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
      "Lambda.ResourceConflictException",
      "Lambda.ResourceNotReadyException",
    ]
    IntervalSeconds = 2
    MaxAttempts     = 6
    BackoffRate     = 2
    JitterStrategy  = "FULL"
  }]

  catch = [{
    ErrorEquals = ["States.ALL"]
    ResultPath  = "$.failure"
    Next        = "TellFailure"
  }]

  call = {
    Type     = "Task"
    Resource = "arn:aws:states:::lambda:invoke"
    Retry    = local.retry
    Catch    = local.catch
  }

  # A path to a field that is not there would end the execution: so every field is there.
  no_input = "States.StringToJson('{\"dataset\":{},\"model\":{},\"release\":false}')"
}

resource "aws_sfn_state_machine" "this" {
  name     = var.name
  role_arn = aws_iam_role.this.arn

  definition = jsonencode({
    Comment        = "Build a dataset from the lake and train a model on it."
    StartAt        = "ReadInput"
    TimeoutSeconds = var.timeout_s
    States = {
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
      TellFailure = {
        Type     = "Task"
        Resource = "arn:aws:states:::sns:publish"
        Parameters = {
          TopicArn    = var.topic_arn
          Subject     = "${var.name} failed"
          "Message.$" = "States.Format('{} failed: {}: {}', $$.Execution.Id, $.failure.Error, $.failure.Cause)"
        }
        ResultPath = null
        Retry      = [{ ErrorEquals = ["States.ALL"], IntervalSeconds = 2, MaxAttempts = 3, BackoffRate = 2 }]
        Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = null, Next = "Failed" }]
        Next       = "Failed"
      }
      Failed = {
        Type      = "Fail"
        ErrorPath = "$.failure.Error"
        CausePath = "$.failure.Cause"
      }
    }
  })

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_iam_role" "this" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "state-machine"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Call"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = [var.build_dataset_arn, var.train_als_arn]
      },
      {
        Sid      = "Release"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = [var.release_machine_arn]
      },
      {
        Sid      = "Tell"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = [var.topic_arn]
      },
    ]
  })
}
