"""Native requests to two hosts that fail, and by callers who leave."""
