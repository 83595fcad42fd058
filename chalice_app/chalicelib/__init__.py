"""What the API answers, and how its requests are timed, counted and logged."""
