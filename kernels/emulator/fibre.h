// A fibre: a stack of its own and a saved stack pointer. One OS thread runs them all, one at a time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

// Saves the callee-saved registers on the current stack, its pointer in *save, and goes on where `to` was
// saved.
extern "C" void emu_switch(void** save, void* to);

#if defined(__x86_64__)
asm(R"(.text
.globl emu_switch
.hidden emu_switch
.type emu_switch,@function
emu_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
.size emu_switch,.-emu_switch
)");
#elif defined(__aarch64__)
asm(R"(.text
.globl emu_switch
.hidden emu_switch
.type emu_switch,%function
emu_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size emu_switch,.-emu_switch
)");
#else
#error "the emulator knows how to switch stacks on x86-64 and arm64"
#endif

namespace emu {

// A stack pointer that makes the first emu_switch to it call entry(), with the stack aligned as the ABI asks.
inline void* first_frame(char* stack, size_t size, void (*entry)()) {
    void** sp = reinterpret_cast<void**>(reinterpret_cast<uintptr_t>(stack + size) & ~uintptr_t(15));
#if defined(__x86_64__)
    *--sp = nullptr;  // no return address: backtraces end here
    *--sp = reinterpret_cast<void*>(entry);
    sp -= 6;
    memset(sp, 0, 6 * sizeof(void*));
#else
    sp -= 20;
    memset(sp, 0, 20 * sizeof(void*));
    sp[11] = reinterpret_cast<void*>(entry);  // x30, the return address
#endif
    return sp;
}

}  // namespace emu
