"""What `make bench` runs: the figures of one gateway process, with nginx beside it as the scale."""
