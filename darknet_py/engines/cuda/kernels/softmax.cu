// Softmax: a thread block computes one group of a picture's numbers, counted as channel, row, column.

constexpr int SOFTMAX_THREADS = 256;
constexpr int HELD = 4;  // numbers that a thread keeps from one pass to the next; more are read again

template <bool SUM>
__device__ inline float combine(float x, float y) { return SUM ? x + y : fmaxf(x, y); }

// The sum or maximum of all threads' numbers, for all of them; once in a kernel, as none waits for the last reader.
template <bool SUM>
__device__ inline float reduce(float x) {
    __shared__ float warps[SOFTMAX_THREADS / 32];
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) x = combine<SUM>(x, shuffle_xor(x, mask));
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
    __syncthreads();
    x = warps[0];
#pragma unroll
    for (int i = 1; i < SOFTMAX_THREADS / 32; i++) x = combine<SUM>(x, warps[i]);
    return x;
}

// `To` is float for the network's answer, which keeps all its digits.
template <class T, class To>
__device__ inline void softmax(const Softmax& p) {
    int first = blockIdx.x * p.size, own = threadIdx.x;
    const T* source = (const T*)p.source + (long long)blockIdx.y * p.plane * p.source_stride;
    To* target = (To*)p.target + (long long)blockIdx.y * p.target_image;
    auto read = [&](int i) {
        int channel = (first + i) / p.plane, pixel = first + i - channel * p.plane;
        return widen(source[(long long)pixel * p.source_stride + channel]);
    };
    auto write = [&](int i, float x) {
        int channel = (first + i) / p.plane, pixel = first + i - channel * p.plane;
        round_to(x, target[(long long)pixel * p.target_pixel + (long long)channel * p.target_channel]);
    };
    float held[HELD], most = -infinity(), sum = 0;
#pragma unroll
    for (int k = 0; k < HELD; k++)  // past the end read the last one again, as a branch would wait for each
        held[k] = read(min(own + k * SOFTMAX_THREADS, p.size - 1));
#pragma unroll
    for (int k = 0; k < HELD; k++) most = fmaxf(most, held[k]);
#pragma unroll 1
    for (int i = own + HELD * SOFTMAX_THREADS; i < p.size; i += SOFTMAX_THREADS) most = fmaxf(most, read(i));
    most = reduce<false>(most);
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        held[k] = expf((held[k] - most) / p.temperature);
        sum += own + k * SOFTMAX_THREADS < p.size ? held[k] : 0;
    }
#pragma unroll 1
    for (int i = own + HELD * SOFTMAX_THREADS; i < p.size; i += SOFTMAX_THREADS)
        sum += expf((read(i) - most) / p.temperature);
    sum = reduce<true>(sum);
#pragma unroll
    for (int k = 0; k < HELD; k++)
        if (own + k * SOFTMAX_THREADS < p.size) write(own + k * SOFTMAX_THREADS, held[k] / sum);
#pragma unroll 1
    for (int i = own + HELD * SOFTMAX_THREADS; i < p.size; i += SOFTMAX_THREADS)
        write(i, expf((read(i) - most) / p.temperature) / sum);
    for (int i = threadIdx.x; i < p.plane * p.fill && blockIdx.x == 0; i += SOFTMAX_THREADS)
        target[(long long)(i / p.fill) * p.target_pixel + p.channels + i % p.fill] = To();
}
