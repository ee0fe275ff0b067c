// Stands in for intrinsics.cuh: kernels run on this machine's CPU, one block after another, each thread a fiber.
//
// Threads take turns where they wait for each other. Copies that do not wait are made as late as they may be, shared
// memory is full of NaN when a block begins, and tensor cores multiply what the lanes of a warp hand in, laid out as the
// PTX manual draws it: a kernel that waits too little, or puts a number in the wrong lane, answers wrongly.

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#include <vector>

#define __device__
#define __global__
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static
using std::max;
using std::min;
using u16 = unsigned short;
using u32 = unsigned int;

struct Index { u32 x, y, z; };
static Index blockIdx, blockDim, gridDim;

constexpr u32 MOST = 1024, WARP = 32, STACK = 256 << 10, SHARED = 256 << 10;

struct Copy { char* to; const char* from; int count; bool valid; };

struct Fiber {
    ucontext_t start;
    jmp_buf place;
    char* stack = nullptr;
    bool started, done;
    std::vector<std::vector<Copy>> groups;  // of copies, the last one still open
    int handed_in;
};

struct Barrier { u32 arrived, generation, members; };

static Fiber fibers[MOST];
static u32 running;  // the fiber, that is the thread, whose turn it is
static jmp_buf launcher;
static Barrier block_barrier, warp_barriers[MOST / WARP];
static char hands[MOST / WARP][2][WARP][32];
alignas(128) static char block_memory[SHARED];
static void (*entry)();
static int conflicts;  // of banks of shared memory, which cost a GPU time
static int overruns;   // blocks that wrote beyond the shared memory that they were given
#define threadIdx (Index{running, 0, 0})

static void resume(u32 next) {
    running = next;
    if (fibers[next].started) _longjmp(fibers[next].place, 1);
    fibers[next].started = true;
    setcontext(&fibers[next].start);
}

static void take_turns() {
    u32 own = running, next = own;
    do next = (next + 1) % blockDim.x;
    while (fibers[next].done && next != own);
    if (next != own) {
        if (_setjmp(fibers[own].place) == 0) resume(next);
    } else if (fibers[own].done) {
        _longjmp(launcher, 1);
    }
}

static void release(Barrier& barrier) {
    if (barrier.arrived == barrier.members) barrier.arrived = 0, barrier.generation++;
}

static void wait_at(Barrier& barrier) {
    u32 generation = barrier.generation;
    barrier.arrived++;
    release(barrier);
    while (barrier.generation == generation) take_turns();
}

static void run_fiber() {
    entry();
    Fiber& own = fibers[running];
    own.done = true;
    for (Barrier* barrier : {&block_barrier, &warp_barriers[running / WARP]}) barrier->members--, release(*barrier);
    take_turns();
}

static void __syncthreads() { wait_at(block_barrier); }
static void __syncwarp() { wait_at(warp_barriers[running / WARP]); }
static void __threadfence() {}
static int atomicAdd(int* address, int more) { return (*address += more) - more; }
static u32 __float_as_uint(float x) { u32 bits; memcpy(&bits, &x, 4); return bits; }
static float __uint_as_float(u32 bits) { float x; memcpy(&x, &bits, 4); return x; }

struct half { u16 bits; };
struct bfloat16 { u16 bits; };
struct tfloat32 { float value; };

static float widen(half x) { _Float16 y; memcpy(&y, &x, 2); return y; }
static void round_to(float x, half& y) { _Float16 z = x; memcpy(&y, &z, 2); }

template <int N>
static void load_or_zero(u32 (&words)[N], const void* from, bool valid) {
    memset(words, 0, sizeof words);
    if (!valid) return;
    if ((size_t)from % sizeof words) abort();
    memcpy(words, from, sizeof words);
}

static char* shared_memory() { return block_memory; }
static float load_shared_by_blocks(const float* address) { return *address; }

template <int BYTES>
static void copy_async(void* to, const void* from, bool valid) {
    if ((size_t)to % BYTES || (size_t)from % BYTES) abort();
    fibers[running].groups.back().push_back({(char*)to, (const char*)from, BYTES, valid});
}

static void commit_copies() { fibers[running].groups.emplace_back(); }

template <int GROUPS>
static void wait_copies() {
    auto& groups = fibers[running].groups;
    while ((int)groups.size() - 1 > GROUPS) {
        for (const Copy& copy : groups.front()) {
            if (copy.valid) memcpy(copy.to, copy.from, copy.count);
            else memset(copy.to, 0, copy.count);
        }
        groups.erase(groups.begin());
    }
}

// What each lane of this warp has handed in; two calls apart the memory is used again.
template <class T>
static const char (*hand_in(const T& own))[32] {
    static_assert(sizeof(T) <= 32);
    auto& slots = hands[running / WARP][fibers[running].handed_in++ % 2];
    memcpy(slots[running % WARP], &own, sizeof(T));
    __syncwarp();
    return slots;
}

static float shuffle_xor(float x, u32 mask) {
    auto lanes = hand_in(x);
    float other;
    memcpy(&other, lanes[running % WARP ^ mask], sizeof other);
    return other;
}

static void load_matrices(u32 (&words)[4], const void* row) {
    if ((size_t)row % 16) abort();
    auto rows = hand_in(row);
    for (int i = 0; i < 4; i++) {
        const char* from[8];
        u32 banks = 0;
        for (int r = 0; r < 8; r++) {
            memcpy(&from[r], rows[8 * i + r], sizeof from[r]);
            banks |= 1 << (size_t)from[r] / 16 % 8;
        }
        conflicts += banks != 0xff;  // eight rows of 16 bytes come at once where no two lie in the same banks
        memcpy(&words[i], from[running % WARP / 4] + running % 4 * 4, 4);
    }
}

static float product(u32 a, u32 b, half) {
    float sum = 0;
    for (int i = 0; i < 32; i += 16) sum += widen(half{(u16)(a >> i)}) * widen(half{(u16)(b >> i)});
    return sum;
}
static float product(u32 a, u32 b, bfloat16) {
    float sum = 0;
    for (u32 mask : {0xffffu, 0xffff0000u})
        sum += __uint_as_float((a & mask) << (mask >> 31 ? 0 : 16)) * __uint_as_float((b & mask) << (mask >> 31 ? 0 : 16));
    return sum;
}
static float product(u32 a, u32 b, tfloat32) {
    return __uint_as_float(a & 0xffffe000) * __uint_as_float(b & 0xffffe000);
}

template <class T>
static void multiply(float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1, T type) {
    struct { u32 a[4], b[2]; } own = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
    auto lanes = hand_in(own);
    u32 lane = running % WARP;
    for (u32 i = 0; i < 4; i++) {
        u32 row = lane / 4, below = i / 2, column = lane % 4 * 2 + i % 2;  // `below`: eight rows further down
        for (u32 word = 0; word < 8; word++) {
            auto left = (const u32*)lanes[row * 4 + word % 4], right = (const u32*)lanes[column * 4 + word % 4];
            sums[i] += product(left[below + word / 4 * 2], right[4 + word / 4], type);
        }
    }
}

template <class Arguments>
static void launch(void (*kernel)(Arguments), const Arguments& arguments, const u32* grid, u32 threads, u32 shared) {
    static void (*called)(Arguments);
    static Arguments given;
    called = kernel, given = arguments;
    entry = [] { called(given); };
    gridDim = {grid[0], grid[1], 1};
    blockDim = {threads, 1, 1};
    static volatile u32 x, y;
    for (y = 0; y < grid[1]; y++)
        for (x = 0; x < grid[0]; x++) {
            blockIdx = {x, y, 0};
            memset(block_memory, 0xff, sizeof block_memory);
            block_barrier = {0, 0, threads};
            for (u32 i = 0; i < threads; i++) {
                Fiber& fiber = fibers[i];
                fiber.started = fiber.done = false;
                fiber.handed_in = 0;
                fiber.groups.assign(1, {});
                if (!fiber.stack) fiber.stack = (char*)malloc(STACK);
                getcontext(&fiber.start);
                fiber.start.uc_stack.ss_sp = fiber.stack;
                fiber.start.uc_stack.ss_size = STACK;
                makecontext(&fiber.start, run_fiber, 0);
                warp_barriers[i / WARP] = {0, 0, min(WARP, threads - i / WARP * WARP)};
            }
            if (_setjmp(launcher) == 0) resume(0);
            const char* beyond = block_memory + shared;
            overruns += beyond[0] != (char)0xff || memcmp(beyond, beyond + 1, SHARED - shared - 1) != 0;
        }
}
