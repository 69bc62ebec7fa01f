"""The room of SemanticSeg: documents whose boundaries come from the sources' own structure, for training and judging segmenters.

arXiv 2605.15913 names such a set (16 categories, more than 30,000 instances). Only its abstract was at hand, so the recipe here is
this project's own. It knows files, folders and structure. It does not know models or tokenizers.

Glossary: a *source* is a set of files with one licence. A *document* is one text of a source, cut into *pieces*. An *instance* is a
row of the data set: documents composed to a wanted length. A boundary's *strength* goes from 1 (finest) to 4 (another document). A
*pool* holds the documents of all sources, a *shard* the instances of one split and category.
"""
