"""The trained segmenter: vocabulary, features (read from the server's own code), network, training, export."""
