"""Your own images: from a folder to an answer to "which pretraining should I start from", and how sure it is."""
