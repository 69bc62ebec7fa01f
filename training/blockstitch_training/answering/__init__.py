"""The room of answering: data from which a model learns to answer out of documents, from public question sets or written by a model.

It knows those sets' files, what a conversation with documents looks like, and a running server. It does not know tokens or models.

Glossary: a *work* is one source text in parts, with questions over it. A *context* is the documents of one prompt, in order. A *gold*
document holds the answer of a question. An *absent* question has its gold document outside the context.
"""
