"""How the model does: on labels once they are in, and as estimated before."""
