"""Kernels: the cell maths in C++ and CUDA, twins of ../rnn_from_scratch/cells, line by line. Read in this order:

    cells/simple_rnn.h      what a cell is here; then activations.h and the other cells
    prelude.h               what step.cu and sequence.cu begin with: the cell and its sizes, phases, masks
    step.cu                 one time step of any cell on a GPU, both ways; ../rnn_from_scratch/backends/gpu/per_step.py launches it
    second_order.cu         the same on numbers that carry a tangent, which dual.h has; ../rnn_from_scratch/backends/gpu/second_order.py
    sequence.cu             the whole time loop in one launch, with product.h and row_group.h; sequence.md has a picture;
                            sequence_backward.cu is the way back
    column_sum.cu           the gradients of biases: sums in one fixed order, with a barrier
    storage.h, barrier.h    16-bit storage; release and acquire between blocks
    emulator/               CUDA on the CPU: interface.h (what a kernel calls), cuda.h (the dialect), machine.h (threads, blocks,
                            memory, clocks), machine.cpp (the scheduler), barriers.cpp (barriers, shuffles, vector clocks),
                            memory.cpp (bounds and races), fibre.h (stacks), half.h
    native.cpp, native/     the same cells on the CPU, fused

A .cu file holds kernels only and includes nothing: ../rnn_from_scratch/backends/gpu/source.py puts the text together.
"""
