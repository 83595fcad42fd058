"""Refresh lists between trainings: users with newer events, new users, withdrawn titles."""
