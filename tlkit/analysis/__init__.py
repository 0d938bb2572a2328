"""Statistics of results: every function takes frames or arrays and returns frames or plain values."""
