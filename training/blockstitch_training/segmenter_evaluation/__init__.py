"""Judges segmenters: cases with labelled boundaries, the TypeScript segmenters run over them, settings tuned, tables and plots."""
