"""Onboarding: what a new table is understood to be, and the files that say so."""
