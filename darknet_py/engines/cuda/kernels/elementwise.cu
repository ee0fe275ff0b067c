// Layers whose numbers each depend on one or two others, and the ways into and out of the engine's layout.

// From the caller's n, channels, height, width in float32; channels that are not there become 0.
template <class T>
__device__ inline void enter(const Elements& p) {
    u32 number = thread_number(), quads = p.target_stride / 4;
    if (number >= quads * p.pixels) return;
    int pixel = number / quads, first = number % quads * 4, plane = p.height * p.width;
    const float* image = (const float*)p.source + (long long)(pixel / plane) * p.channels * plane + pixel % plane;
    float x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) x[i] = first + i < p.channels ? image[(long long)(first + i) * plane] : 0;
    store((T*)p.target + (long long)pixel * p.target_stride + first, x);
}

// To the caller's layout.
template <class T>
__device__ inline void leave(const Elements& p) {
    u32 number = thread_number(), plane = p.height * p.width;
    if (number >= (u32)p.channels * p.pixels) return;
    u32 at = number % plane, channel = number / plane % p.channels, image = number / plane / p.channels;
    ((float*)p.target)[number] = widen(((const T*)p.source)[((long long)image * plane + at) * p.source_stride + channel]);
}

// Channels to another place; those up to `filled` become 0.
template <class T>
__device__ inline void copy(const Elements& p) {
    u32 number = thread_number();
    if (number >= (u32)p.filled * p.pixels) return;
    int channel = number % p.filled;
    long long pixel = number / p.filled;
    T x = {};
    if (channel < p.channels) x = ((const T*)p.source)[pixel * p.source_stride + channel];
    ((T*)p.target)[pixel * p.target_stride + channel] = x;
}

// activation(factor * x + bias), channel by channel; without factors activation(x).
template <class T>
__device__ inline void scale(const Elements& p) {
    u32 number = thread_number(), quads = p.channels / 4;
    if (number >= quads * p.pixels) return;
    int channel = number % quads * 4;
    long long pixel = number / quads;
    float x[4], factor[4] = {1, 1, 1, 1}, bias[4] = {};
    load(x, (const T*)p.source + pixel * p.source_stride + channel);
    if (p.factors) load(factor, p.factors + channel), load(bias, p.biases + channel);
#pragma unroll
    for (int i = 0; i < 4; i++) x[i] = activate(p.activation, factor[i] * x[i] + bias[i]);
    store((T*)p.target + pixel * p.target_stride + channel, x);
}

// The middle of a picture, times `alpha`, plus `beta`.
template <class T>
__device__ inline void crop(const Elements& p) {
    u32 number = thread_number(), quads = p.channels / 4;
    if (number >= quads * p.pixels) return;
    int channel = number % quads * 4, pixel = number / quads;
    int x = pixel % p.out_width + p.left, y = pixel / p.out_width % p.out_height + p.top;
    long long image = pixel / p.out_width / p.out_height;
    float at[4];
    load(at, (const T*)p.source + ((image * p.height + y) * p.width + x) * p.source_stride + channel);
#pragma unroll
    for (int i = 0; i < 4; i++) at[i] = p.alpha * at[i] + p.beta;
    store((T*)p.target + (long long)pixel * p.target_stride + channel, at);
}

// activation(alpha * x + beta * other) where both are, activation(x) elsewhere; cells of x `spread` apart meet cells of
// the other `stride` apart.
template <class T>
__device__ inline void add(const Elements& p) {
    u32 number = thread_number(), quads = p.channels / 4;
    if (number >= quads * p.pixels) return;
    int first = number % quads * 4, pixel = number / quads;
    int column = pixel % p.width, row = pixel / p.width % p.height;
    long long image = pixel / p.width / p.height;
    int other_x = column / p.spread * p.stride, other_y = row / p.spread * p.stride;
    bool both = column % p.spread == 0 && row % p.spread == 0 && other_x < p.other_width && other_y < p.other_height;
    const T* other = (const T*)p.other + ((image * p.other_height + other_y) * p.other_width + other_x) * p.other_stride;
    float x[4];
    load(x, (const T*)p.source + (long long)pixel * p.source_stride + first);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (both && first + i < p.other_channels) x[i] = p.alpha * x[i] + p.beta * widen(other[first + i]);
        x[i] = activate(p.activation, x[i]);
    }
    store((T*)p.target + (long long)pixel * p.target_stride + first, x);
}

// activation(x * factor), x being the other; a pixel of factors stands for `height` x `width` pixels, and a single
// channel of them for all channels.
template <class T>
__device__ inline void scale_channels(const Elements& p) {
    u32 number = thread_number(), quads = p.channels / 4;
    if (number >= quads * p.pixels) return;
    int channel = number % quads * 4, pixel = number / quads;
    const T* factors = (const T*)p.source + (long long)(pixel / (p.height * p.width)) * p.source_stride;
    float x[4], factor[4];
    load(x, (const T*)p.other + (long long)pixel * p.other_stride + channel);
    if (p.factor_channels == 1) factor[0] = factor[1] = factor[2] = factor[3] = widen(factors[0]);
    else load(factor, factors + channel);
#pragma unroll
    for (int i = 0; i < 4; i++) x[i] = activate(p.activation, x[i] * factor[i]);
    store((T*)p.target + (long long)pixel * p.target_stride + channel, x);
}
