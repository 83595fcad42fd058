# A release: from a model or new code to promoted or rolled back. The rollout function has the actions
# and their log; this has their order, waits and retries. An execution that dies is started again
# with the same release_id and continues.
#
# Input, all of it optional:
#   {"release_id": "", "policy": {}, "request":
#     {"model_version": "", "code": false, "again": false, "allow_truncated": false}}

module "machine" {
  source = "../machine"

  name = var.name
  statements = [
    {
      sid       = "Call"
      action    = "lambda:InvokeFunction"
      resources = [var.rollout_arn, var.evaluate_online_arn]
    },
  ]
  # Errors of a concurrent change of the alias, or of a store that is briefly unavailable.
  retried_errors   = ["ReleaseConflictError", "UnavailableError"]
  alerts_topic_arn = var.alerts_topic_arn
  account_id       = var.account_id
}

locals {
  catch = [{
    ErrorEquals = ["States.ALL"]
    ResultPath  = "$.failure"
    Next        = "Abort"
  }]

  act = {
    Type           = "Task"
    Resource       = "arn:aws:states:::lambda:invoke"
    ResultSelector = { "answer.$" = "$.Payload" }
    ResultPath     = "$.last"
    Retry          = module.machine.retry
    Catch          = local.catch
  }

  # The same release in every state: named by the input, or by the execution's start time.
  release = {
    "release_id.$" = "$.release_id"
    "started_at.$" = "$$.Execution.StartTime"
  }

  # A path to a missing field would end the execution: so every field is set.
  no_input = "States.StringToJson('{\"release_id\":\"\",\"request\":{},\"policy\":{}}')"

  # After each of these the release may have ended: it failed, or it was rolled back.
  in_order = { Check = "Cut", Cut = "Test", Test = "Advance" }

  actions = {
    for name, following in local.in_order : name => merge(local.act, {
      Parameters = {
        FunctionName = var.rollout_arn
        Payload      = merge(local.release, { action = lower(name) })
      }
      Next = "${name}Done"
    })
  }

  choices = {
    for name, following in local.in_order : "${name}Done" => {
      Type    = "Choice"
      Choices = [{ Variable = "$.last.answer.next", StringEquals = "closed", Next = "Close" }]
      Default = following
    }
  }
}

resource "aws_sfn_state_machine" "this" {
  name     = var.name
  role_arn = module.machine.role_arn

  definition = jsonencode({
    Comment        = "Release a model or new code: gate, smoke test, canary step by step, promote or roll back."
    StartAt        = "ReadInput"
    TimeoutSeconds = var.timeout_s
    States = merge(local.actions, local.choices, module.machine.failing, {
      ReadInput = {
        Type       = "Pass"
        Parameters = { "read.$" = "States.JsonMerge(${local.no_input}, $, false)" }
        OutputPath = "$.read"
        Next       = "Begin"
      }
      Begin = merge(local.act, {
        Parameters = {
          FunctionName = var.rollout_arn
          Payload = merge(local.release, {
            action      = "begin"
            "request.$" = "$.request"
            "policy.$"  = "$.policy"
          })
        }
        Next = "BeginDone"
      })
      BeginDone = {
        Type = "Choice"
        Choices = [
          { Variable = "$.last.answer.next", StringEquals = "closed", Next = "Close" },
          { Variable = "$.last.answer.next", StringEquals = "wait", Next = "WaitForTurn" },
        ]
        Default = "Check"
      }
      WaitForTurn = {
        Type        = "Wait"
        SecondsPath = "$.last.answer.wait_s"
        Next        = "Begin"
      }
      Advance = merge(local.act, {
        Parameters = {
          FunctionName = var.rollout_arn
          Payload      = merge(local.release, { action = "advance" })
        }
        Next = "AdvanceDone"
      })
      AdvanceDone = {
        Type    = "Choice"
        Choices = [{ Variable = "$.last.answer.next", StringEquals = "closed", Next = "Close" }]
        Default = "Wait"
      }
      Wait = {
        Type        = "Wait"
        SecondsPath = "$.last.answer.wait_s"
        Next        = "Evaluate"
      }
      Evaluate = {
        Type     = "Task"
        Resource = "arn:aws:states:::lambda:invoke"
        Parameters = {
          FunctionName = var.evaluate_online_arn
          "Payload.$"  = "$.last.answer.evaluate"
        }
        ResultSelector = { "answer.$" = "$.Payload" }
        ResultPath     = "$.evaluated"
        Retry          = module.machine.retry
        # Without an evaluation there is no verdict: the release waits, and its limit ends it.
        Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.failure", Next = "Advance" }]
        Next  = "Judge"
      }
      Judge = merge(local.act, {
        Parameters = {
          FunctionName = var.rollout_arn
          Payload      = merge(local.release, { action = "advance", "evaluation.$" = "$.evaluated.answer" })
        }
        Next = "AdvanceDone"
      })
      Abort = merge(local.act, {
        Parameters = {
          FunctionName = var.rollout_arn
          Payload      = merge(local.release, { action = "abort", "reason.$" = "$.failure.Cause" })
        }
        Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.failure", Next = "TellFailure" }]
        Next  = "Close"
      })
      Close = merge(local.act, {
        Parameters = {
          FunctionName = var.rollout_arn
          Payload      = merge(local.release, { action = "close" })
        }
        Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.failure", Next = "TellFailure" }]
        Next  = "Ended"
      })
      Ended = {
        Type       = "Succeed"
        OutputPath = "$.last.answer"
      }
    })
  })
}
