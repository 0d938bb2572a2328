"""Phantom twins: random bodies and object photographs written in the layouts of the real data sets."""
