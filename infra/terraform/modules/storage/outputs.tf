output "bucket_names" {
  description = "Bucket names by use: lake, artifacts, packages."
  value       = { for use, bucket in aws_s3_bucket.this : use => bucket.id }
}
