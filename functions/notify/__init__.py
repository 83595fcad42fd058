"""Forward release notifications from SNS to Slack."""
