"""Vendor bundles: data sets drawn from a twin, truths sealed, answers scored, disclosure examined.

`release` turns a twin into one whose rows may leave (`Limits`, `released`), `plan` chooses the
effects, `bundle` writes the folder and the owner's file, `submission` and `scoring` read and score
answers, `privacy` attacks what leaves with the seed data at hand.
"""
