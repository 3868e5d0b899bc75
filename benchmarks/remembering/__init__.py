"""Parts of benchmarks/memory.py, one promise each."""
