"""The results of a run: a page for the browser, and tables for a paper."""
