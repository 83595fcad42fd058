# Role and log group of the API's function. Chalice creates the function itself (app.py has the
# routes), with this role and not with one of its own (`manage_iam_role: false`).

resource "aws_iam_role" "this" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:aws:logs:${var.region}:${var.account_id}:log-group:/aws/lambda/${var.name}:*"]
      },
      {
        Sid    = "ReadModels"
        Effect = "Allow"
        Action = "s3:GetObject"
        Resource = [
          "arn:aws:s3:::${var.artifacts_bucket}/models/*",
          "arn:aws:s3:::${var.artifacts_bucket}/overlays/*",
        ]
      },
      {
        # Without it, S3 answers 403 and not 404 for a model or an overlay that does not exist.
        Sid       = "ListModels"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = ["arn:aws:s3:::${var.artifacts_bucket}"]
        Condition = { StringLike = { "s3:prefix" = ["models/*", "overlays/*"] } }
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}
