"""The bundled priors, one module each with all of its facts; none of them needs torch to say them."""
