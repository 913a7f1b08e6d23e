"""The protocols that other networks speak to onecard, one package each."""
