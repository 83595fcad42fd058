# A release: from a gated model or new code to promoted or rolled back. What each action does, and
# what has been done, is the rollout function's affair; this is the order, the waiting and the
# patience. An execution that dies is started again with the same release_id and goes on.
#
# Input, all of it optional:
#   {"release_id": "", "request": {"model_version": "", "code": false, "again": false}, "policy": {}}

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
  # What another hand on the alias, or a store that does not answer for a moment, leads to.
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

  # The same release whichever state asks: named by the input, or by when the execution began.
  release = {
    "release_id.$" = "$.release_id"
    "started_at.$" = "$$.Execution.StartTime"
  }

  # A path to a field that is not there would end the execution: so every field is there.
  no_input = "States.StringToJson('{\"release_id\":\"\",\"request\":{},\"policy\":{}}')"

  # After each of these a release may have ended: its own fault, or somebody's brake.
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
