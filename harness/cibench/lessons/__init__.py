"""Lessons: what an assumption failure does to a method, as one page that opens by double click."""
