"""Evidence: where the model looks in a context, what is chosen there, and the weights of a forward pass."""
