"""Training for Blockstitch: generated multi-document questions and the demo model. Knows PyTorch; the server reads what it writes."""
