"""Label inference: what the last layer's update says of the private labels."""
