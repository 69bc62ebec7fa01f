"""Block distillation: a block-attention student learns from its own frozen full-attention self (arXiv 2605.15913).

layout.py says which tokens see which, block_attention.py computes that inside any transformers model, the three components are
sink_tokens.py, block_dropout.py and token_weights.py, trainer.py puts them together. `python -m blockstitch_training.distill`.
"""
