"""Lambda `movierec-evaluate-online`: what was served, and what users then did."""
