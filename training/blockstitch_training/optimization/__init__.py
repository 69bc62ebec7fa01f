"""The room of optimizers: what moves weights along gradients, for every room that trains a Transformer.

It knows PyTorch and the names of weights. It does not know losses, data or runs.

Glossary: a *matrix* is a two-dimensional weight between embeddings and head. A *schedule* scales all learning rates by one factor.
"""
