"""Holdfast's own pages: plain HTML and inline SVG that run nothing, load nothing, and are never large."""
