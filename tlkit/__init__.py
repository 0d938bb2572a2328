"""tlkit: which pretraining should I start from?"""

__version__ = "0.1.0"
