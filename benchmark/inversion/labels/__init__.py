"""Label inference: what the last layer's update says about the private labels."""
