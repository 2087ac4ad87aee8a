"""Native requests to models that are placed unevenly over three hosts, all of which do what they are asked."""
