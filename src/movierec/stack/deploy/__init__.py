"""What a run deploys to the emulator: Terraform's resources and the Chalice API."""
