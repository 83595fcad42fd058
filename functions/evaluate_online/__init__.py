"""Online evaluation of served recommendations, from what users then watched and rated."""
