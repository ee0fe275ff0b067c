// What only a GPU has: 16-bit conversions, exchange between lanes, asynchronous copies, tensor cores. All else is plain
// C++, so that the kernels can also run where these few functions are replaced.

using u16 = unsigned short;
using u32 = unsigned int;

struct half { u16 bits; };
struct bfloat16 { u16 bits; };
struct tfloat32 { float value; };  // float32 of which the upper 10 bits of the mantissa count

__device__ inline float widen(half x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

__device__ inline void round_to(float x, half& y) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x)); }

// The x of the lane whose number is this one's with the bits of `mask` flipped; called by a whole warp.
__device__ inline float shuffle_xor(float x, u32 mask) { return __shfl_xor_sync(0xffffffff, x, mask); }

// Loads 8 or 16 bytes, or zeros where not `valid`; without a branch, so that many loads are in flight at once.
__device__ inline void load_or_zero(u32 (&words)[2], const void* from, bool valid) {
    asm("{ .reg .pred p; setp.ne.s32 p, %3, 0; mov.b32 %0, 0; mov.b32 %1, 0; @p ld.global.v2.b32 {%0, %1}, [%2]; }"
        : "=&r"(words[0]), "=&r"(words[1]) : "l"(from), "r"((int)valid));
}
__device__ inline void load_or_zero(u32 (&words)[4], const void* from, bool valid) {
    asm("{ .reg .pred p; setp.ne.s32 p, %5, 0; mov.b32 %0, 0; mov.b32 %1, 0; mov.b32 %2, 0; mov.b32 %3, 0;"
        " @p ld.global.v4.b32 {%0, %1, %2, %3}, [%4]; }"
        : "=&r"(words[0]), "=&r"(words[1]), "=&r"(words[2]), "=&r"(words[3]) : "l"(from), "r"((int)valid));
}

// The thread block's dynamic shared memory.
__device__ inline char* shared_memory() {
    extern __shared__ __align__(16) char memory[];
    return memory;
}

__device__ inline u32 shared_address(const void* pointer) { return (u32)__cvta_generic_to_shared(pointer); }

// Copies `BYTES`, 4, 8 or 16, from global to shared memory, or zeros where not `valid`; done after wait_copies.
template <int BYTES>
__device__ inline void copy_async(void* to, const void* from, bool valid) {
#if __CUDA_ARCH__ >= 800
    int count = valid ? BYTES : 0;
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(count));
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;"
                     ::"r"(shared_address(to)), "l"(from), "r"(count), "n"(BYTES));
#else
    u32* words = (u32*)to;
#pragma unroll
    for (int i = 0; i < BYTES / 4; i++) words[i] = valid ? ((const u32*)from)[i] : 0;
#endif
}

// Closes a group of copies.
__device__ inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;");
#endif
}

// Waits until at most the last `GROUPS` groups of this thread are in flight.
template <int GROUPS>
__device__ inline void wait_copies() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
#endif
}

// Four matrices of 8 rows of 16 bytes; lane i names row i % 8 of matrix i / 8, and gets word i % 4 of row i / 4 of each.
__device__ inline void load_matrices(u32 (&words)[4], const void* row) {
#if __CUDA_ARCH__ >= 750
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "r"(shared_address(row)));
#endif
}

// sums (16 x 8) += a (16 rows of 32 bytes) * b (8 rows of 32 bytes), transposed; called by a whole warp, laid out as in
// the PTX manual for mma.m16n8k16 (k8 for tfloat32).
#define MULTIPLY(T, SHAPE)                                                                                           \
    __device__ inline void multiply(float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1, T) {                        \
        asm volatile("mma.sync.aligned." SHAPE " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"     \
                     : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])                                    \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                                \
    }
#if __CUDA_ARCH__ >= 800
MULTIPLY(half, "m16n8k16.row.col.f32.f16.f16.f32")
MULTIPLY(bfloat16, "m16n8k16.row.col.f32.bf16.bf16.f32")
MULTIPLY(tfloat32, "m16n8k8.row.col.f32.tf32.tf32.f32")
#endif
#undef MULTIPLY

// Reads what another thread block has written, past this multiprocessor's own cache.
__device__ inline float load_shared_by_blocks(const float* address) {
    float x;
    asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(x) : "l"(address));
    return x;
}
