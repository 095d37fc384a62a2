"""The steps of the loop: plain functions that compose the areas and return a small record."""
