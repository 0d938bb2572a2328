"""The paper of this repository: its text with generated numbers, and what stands behind each of them."""
