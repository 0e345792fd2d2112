"""The bundled priors, one module for each with all facts about it; stating them does not need torch."""
