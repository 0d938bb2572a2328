"""Pseudo-labels for an unlabelled archive: reports, headers and images as vectors, clustered to groups."""

from tlkit.pseudolabels.artefact import Settings, files_of, labels, make, settings

__all__ = ["Settings", "files_of", "labels", "make", "settings"]
