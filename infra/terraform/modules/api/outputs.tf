output "role_arn" {
  description = "Role of the API's function, for Chalice's `iam_role_arn`."
  value       = aws_iam_role.this.arn
}
