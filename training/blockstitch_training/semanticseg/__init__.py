"""SemanticSeg: documents whose boundaries come from the sources' own structure, for training and judging segmenters.

arXiv 2605.15913 names such a set (16 categories, more than 30,000 instances); only its abstract was at hand, so the
recipe here is this project's own. It knows files, folders and structure; it knows nothing of models or tokenizers.
"""
