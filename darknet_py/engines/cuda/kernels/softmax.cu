// Softmax: a thread block has one group of a picture's numbers, counted as channel, row, column.

constexpr int SOFTMAX_THREADS = 256;

template <bool SUM>
__device__ inline float reduce(float x) {
    __shared__ float shared[SOFTMAX_THREADS];
    __syncthreads();  // the last result has been read
    shared[threadIdx.x] = x;
    for (int half_way = SOFTMAX_THREADS / 2; half_way > 0; half_way /= 2) {
        __syncthreads();
        if (threadIdx.x < half_way) {
            float other = shared[threadIdx.x + half_way], own = shared[threadIdx.x];
            shared[threadIdx.x] = SUM ? own + other : own > other ? own : other;
        }
    }
    __syncthreads();
    return shared[0];
}

// `To` is float for the network's answer, which keeps all its digits.
template <class T, class To>
__device__ inline void softmax(const Softmax& p) {
    int first = blockIdx.x * p.size;
    const T* source = (const T*)p.source + (long long)blockIdx.y * p.plane * p.source_stride;
    To* target = (To*)p.target + (long long)blockIdx.y * p.target_image;
    float most = -infinity();
    for (int i = first + threadIdx.x; i < first + p.size; i += SOFTMAX_THREADS)
        most = fmaxf(most, widen(source[(long long)(i % p.plane) * p.source_stride + i / p.plane]));
    most = reduce<false>(most);
    float sum = 0;
    for (int i = first + threadIdx.x; i < first + p.size; i += SOFTMAX_THREADS)
        sum += expf((widen(source[(long long)(i % p.plane) * p.source_stride + i / p.plane]) - most) / p.temperature);
    sum = reduce<true>(sum);
    for (int i = first + threadIdx.x; i < first + p.size; i += SOFTMAX_THREADS) {
        float x = widen(source[(long long)(i % p.plane) * p.source_stride + i / p.plane]);
        To y;
        round_to(expf((x - most) / p.temperature) / sum, y);
        target[(long long)(i % p.plane) * p.target_pixel + (long long)(i / p.plane) * p.target_channel] = y;
    }
    for (int i = threadIdx.x; i < p.plane * p.fill && blockIdx.x == 0; i += SOFTMAX_THREADS)
        target[(long long)(i / p.fill) * p.target_pixel + p.channels + i % p.fill] = To();
}
