"""Child processes of a run: started, supervised, stopped."""
