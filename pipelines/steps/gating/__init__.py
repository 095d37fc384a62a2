"""What the gates are told: the challenger's holdout, its data, and both models measured on the same rows."""
