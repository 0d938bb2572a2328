"""Pseudo-labels for an unlabelled archive: reports, headers and images as vectors, clustered to groups."""

from tlkit.archives.pseudolabels.artefact import Settings, declaration, files_of, labels, make, settings

__all__ = ["Settings", "declaration", "files_of", "labels", "make", "settings"]
