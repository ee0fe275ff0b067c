// What all kernels share: numbers, vectors of them, activations.
//
// Activations are stored as n, height, width, channels ("NHWC"); a source's pixels are `source_stride` numbers apart, a
// multiple of 8, or 4 where there are so few channels. Numbers past a value's channels are finite, and multiplied by
// weights of zero; except for what rounding leaves of the channels in pictures in bfloat16: it has the same weights.

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(tfloat32 x) { return x.value; }
__device__ inline float widen(bfloat16 x) { return __uint_as_float((u32)x.bits << 16); }

// To the nearest; a NaN stays one.
__device__ inline void round_to(float x, float& y) { y = x; }
__device__ inline void round_to(float x, tfloat32& y) {
    y.value = x == x ? __uint_as_float((__float_as_uint(x) + 0x1000) & 0xffffe000) : x;
}
__device__ inline void round_to(float x, bfloat16& y) {
    u32 bits = __float_as_uint(x);
    y.bits = x == x ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : 0x7fff;
}

__device__ inline float infinity() { return __uint_as_float(0x7f800000); }

// `N` numbers that are loaded and stored at once.
template <class T, int N>
struct alignas(N * sizeof(T)) Vector { T numbers[N]; };

template <int N, class T>
__device__ inline void load(float (&x)[N], const T* address) {
    Vector<T, N> vector = *(const Vector<T, N>*)address;
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = widen(vector.numbers[i]);
}

template <int N, class T>
__device__ inline void store(T* address, const float (&x)[N]) {
    Vector<T, N> vector;
#pragma unroll
    for (int i = 0; i < N; i++) round_to(x[i], vector.numbers[i]);
    *(Vector<T, N>*)address = vector;
}

constexpr int SLOPE = -1;

// x > 0 ? x : slope * x, or the curve of a code, which is known when the kernel is compiled: testing it for each number
// would take longer than most of them.
template <int CODE>
__device__ inline float activate(float x, float slope) {
    if constexpr (CODE == SLOPE) return x > 0 ? x : slope * x;
    else return curve(CODE, x);
}

// This thread's number among all of the grid.
__device__ inline u32 thread_number() { return blockIdx.x * blockDim.x + threadIdx.x; }

// Where this thread's `N` channels begin among `channels` of each pixel.
template <int N>
__device__ inline void locate(int channels, u32& pixel, int& channel) {
    u32 number = thread_number(), vectors = channels / N;
    pixel = number / vectors;
    channel = (number - pixel * vectors) * N;
}
