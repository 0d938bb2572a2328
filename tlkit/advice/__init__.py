"""Advice on a reader's own images: what a folder holds, what is wrong with it, and which pretraining to start from."""
