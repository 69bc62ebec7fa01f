"""The room of the trained segmenter: vocabulary, features, network, training and export.

It reads features from the server's own code, so that training and serving cannot differ. It knows PyTorch, SemanticSeg's shards and
the files that the server loads. It does not know the choice of boundaries (the server makes it) nor how segmenters are compared
(evaluation).

Glossary: a *unit* is a line, or a sentence of a long line. A *boundary* stands behind a unit; its *level* is 0 (none) or 1 (finest)
to 4 (coarsest). The *word table* says what words are about; *cues* say how they are used. A *crop* is a run of units of one document.
"""
