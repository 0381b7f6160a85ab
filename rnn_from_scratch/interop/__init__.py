"""Weights and cells to and from other frameworks.

    weight_layouts.py    how each framework lays out the same cell, one table
    conventions.py       converts parameters by that table
    mismatches.py        what implementations of one cell do differently
    diagnose.py          which of these makes two implementations disagree
    to_onnx.py           a cell as an ONNX model
"""
