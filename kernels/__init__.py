"""Kernels: the cell maths in C++ and CUDA, twins of ../rnn_from_scratch/cells, line by line. None are here yet."""
