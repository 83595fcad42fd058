# Buckets: the lake, the artifacts, the Lambda packages. None is public, none accepts plain HTTP, and
# every overwrite or deletion can be undone for `noncurrent_days`. S3 encrypts by default since 2023.

locals {
  names = { for use in ["lake", "artifacts", "packages"] : use => "${var.name_prefix}-${use}" }
}

resource "aws_s3_bucket" "this" {
  for_each = local.names

  bucket        = each.value
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "tls_only" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::${local.names[each.key]}", "arn:aws:s3:::${local.names[each.key]}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses concurrent changes of one bucket's access (OperationAborted).
  depends_on = [aws_s3_bucket_public_access_block.this]
}

# No resource may depend on these: the provider polls each for 50 s to confirm it.
#
# No rule expires current objects. In the lake that would delete files that a Delta table's log still
# names: events past their retention are deleted as rows and vacuumed, and only the vacuumed files,
# noncurrent by then, expire here.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    id     = "forget-what-was-replaced"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.incomplete_upload_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
