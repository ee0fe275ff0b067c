// Pooling: a thread has a quad of channels of a pixel of the output.

template <class T>
__device__ inline void max_pool(const Pooling& p) {
    u32 number = thread_number(), quads = p.channels / 4;
    if (number >= quads * p.pixels) return;
    int channel = number % quads * 4, pixel = number / quads;
    int top = pixel / p.out_width % p.out_height * p.stride - p.padding;
    int left = pixel % p.out_width * p.stride - p.padding;
    const T* image = (const T*)p.source
                     + (long long)(pixel / p.out_width / p.out_height) * p.height * p.width * p.source_stride;
    float most[4] = {-infinity(), -infinity(), -infinity(), -infinity()};
    for (int y = max(top, 0); y < min(top + p.size, p.height); y++)
        for (int x = max(left, 0); x < min(left + p.size, p.width); x++) {
            float at[4];
            load(at, image + (long long)(y * p.width + x) * p.source_stride + channel);
#pragma unroll
            for (int i = 0; i < 4; i++) most[i] = at[i] > most[i] || at[i] != at[i] ? at[i] : most[i];
        }
    store((T*)p.target + (long long)pixel * p.target_stride + channel, most);
}

template <class T>
__device__ inline void average_pool(const Pooling& p) {
    u32 number = thread_number(), quads = p.channels / 4;
    if (number >= quads * p.pixels) return;
    int channel = number % quads * 4, image = number / quads, plane = p.height * p.width;
    const T* from = (const T*)p.source + (long long)image * plane * p.source_stride + channel;
    float sum[4] = {};
#pragma unroll 8
    for (int i = 0; i < plane; i++) {
        float at[4];
        load(at, from + (long long)i * p.source_stride);
#pragma unroll
        for (int k = 0; k < 4; k++) sum[k] += at[k];
    }
#pragma unroll
    for (int k = 0; k < 4; k++) sum[k] /= plane;
    store((T*)p.target + (long long)image * p.target_stride + channel, sum);
}
