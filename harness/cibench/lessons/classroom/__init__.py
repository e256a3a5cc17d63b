"""Assignments with sealed truths, their grading and the report on a class."""
