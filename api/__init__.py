"""How much of a client's private images does a gradient give away?"""
