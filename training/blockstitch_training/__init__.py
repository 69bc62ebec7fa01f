"""Training for Blockstitch, one folder per capability; the server reads what is written here.

optimization: optimizers. semanticseg: documents with known boundaries. segmenter: the trained segmenter. demo: the demo model and its
questions. distill: block distillation. evaluation: how good all of these are. Each folder's `__init__.py` says what it knows. Each
folder with commands lists them, for instance `python -m blockstitch_training.segmenter --help`.
"""
