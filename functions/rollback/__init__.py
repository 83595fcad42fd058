"""The operational brake: from an alarm to no users."""
