"""The room of journals: files to which a long run adds rows, so that a second call goes on where the first was cut off.

It knows JSON lines. It does not know what the rows say.

Glossary: a *row* is a JSON object on a line of its own; it is in the journal whole or not at all.
"""
