"""What the experiment log remembers: fingerprints, the derived index, recall."""
