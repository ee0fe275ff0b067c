// Pooling.

// A thread computes a vector of channels of a pixel of the output.
template <class T, int N>
__device__ inline void max_pool(const Pooling& p) {
    u32 pixel;
    int channel;
    locate<N>(p.channels, pixel, channel);
    if (pixel >= p.pixels) return;
    u32 line = pixel / p.out_width, picture = line / p.out_height;
    int top = (int)(line - picture * p.out_height) * p.stride - p.padding;
    int left = (int)(pixel - line * p.out_width) * p.stride - p.padding;
    const T* image = (const T*)p.source + (long long)picture * p.height * p.width * p.source_stride + channel;
    float most[N];
#pragma unroll
    for (int i = 0; i < N; i++) most[i] = -infinity();
    for (int y = max(top, 0); y < min(top + p.size, p.height); y++)
        for (int x = max(left, 0); x < min(left + p.size, p.width); x++) {
            float at[N];
            load(at, image + (long long)(y * p.width + x) * p.source_stride);
#pragma unroll
            for (int i = 0; i < N; i++) most[i] = at[i] > most[i] || at[i] != at[i] ? at[i] : most[i];
        }
    store((T*)p.target + (long long)pixel * p.target_stride + channel, most);
}

// A thread block computes `lanes` neighbouring vectors of channels of a picture; its threads divide up the plane.
template <class T, int N>
__device__ inline void average_pool(const Pooling& p) {
    constexpr int AHEAD = 8;  // pixels that are loaded before the first is added
    int channel = (blockIdx.x * p.lanes + threadIdx.x % p.lanes) * N, plane = p.height * p.width;
    int rows = blockDim.x / p.lanes;
    const T* from = (const T*)p.source + (long long)blockIdx.y * plane * p.source_stride + channel;
    if (channel >= p.channels) plane = 0;  // this thread must still reach the barriers
    float sum[N] = {};
    for (int first = threadIdx.x / p.lanes; first < plane; first += AHEAD * rows) {
        float at[AHEAD][N];
#pragma unroll
        for (int i = 0; i < AHEAD; i++)  // past the end load the last one again, as a branch would wait for each
            load(at[i], from + (long long)min(first + i * rows, plane - 1) * p.source_stride);
#pragma unroll
        for (int i = 0; i < AHEAD; i++)
#pragma unroll
            for (int k = 0; k < N; k++) sum[k] += first + i * rows < plane ? at[i][k] : 0;
    }
    float* sums = (float*)shared_memory() + threadIdx.x;
#pragma unroll
    for (int k = 0; k < N; k++) sums[k * blockDim.x] = sum[k];
    for (int half_way = blockDim.x / 2; half_way >= p.lanes; half_way /= 2) {
        __syncthreads();
        if (threadIdx.x >= half_way) continue;
#pragma unroll
        for (int k = 0; k < N; k++) sums[k * blockDim.x] = sum[k] += sums[k * blockDim.x + half_way];
    }
    if (threadIdx.x >= p.lanes || channel >= p.channels) return;
    float share = 1.0f / plane;
#pragma unroll
    for (int k = 0; k < N; k++) sum[k] *= share;
    store((T*)p.target + (long long)blockIdx.y * p.target_stride + channel, sum);
}
