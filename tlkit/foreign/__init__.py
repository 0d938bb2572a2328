"""Weights files that others wrote: which network they are of, and what is in a pickle, without running its code."""
