"""What a drift costs the model, and what is to be done about it."""
