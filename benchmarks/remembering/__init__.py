"""What the benchmark of the memory is made of."""
