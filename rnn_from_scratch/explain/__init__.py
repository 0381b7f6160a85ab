"""See inside a cell: its lines with the numbers of a step, forward and backward."""
