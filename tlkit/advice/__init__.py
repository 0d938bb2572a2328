"""A reader's own images: what a folder holds, what stands against it, and which pretraining to start from."""
