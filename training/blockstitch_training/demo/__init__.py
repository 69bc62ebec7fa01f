"""The room of the demo model: a small Llama that answers generated questions over generated documents.

It makes the questions, the tokenizer, the prompts, the curriculum, the training and the shipped samples. It knows PyTorch and
transformers. It does not know distillation, segmenters or the server; the other rooms may use its questions.

Glossary: an *entity* is an invented person, company, product or event. A *context* is a list of documents with questions over them. A
*direct* question is answered by a sentence as it stands, a *continued* one by a sentence that abbreviates its subject's name, a
*two-hop* one leads over two documents. *Held out* means never shown in training.
"""
