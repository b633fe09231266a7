"""The hot path of a call, the only asynchronous room beside the live stream."""
