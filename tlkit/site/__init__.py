"""Static pages of the paper, the notebooks as executed, the runs, the results and the data sets; no server."""
