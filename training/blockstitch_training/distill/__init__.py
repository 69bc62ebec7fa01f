"""The room of block distillation: a student under block attention learns from its own frozen self under full attention.

The method is arXiv 2605.15913. layout.py says which tokens see which. block_attention.py computes that inside any transformers
model. The three components are sink_tokens.py, block_dropout.py and token_weights.py. step_loss.py makes the loss of a step of them,
and distiller.py runs the steps. stitched_generation.py and repaired_prefill.py are the PyTorch reference of what the server does. It
knows the demo room's questions and Hugging Face checkpoints. It does not know how results are judged; evaluation does.

Glossary: a *block* is a run of tokens that is computed without the text before it. A *final block* follows all blocks of a prompt and
sees them *stitched*, placed one behind another. *Sinks* are tokens at the front of every prompt that every block sees. A *pack* is the
examples of one *micro-batch*; a *step* of the optimizer takes one or more micro-batches.
"""
