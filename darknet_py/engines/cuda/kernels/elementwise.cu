// Layers whose numbers each depend on one or two others, and the ways into and out of the engine's layout.

// From the caller's n, channels, height, width in float32; with `REST` followed by what rounding leaves of each channel.
// Channels that do not exist become 0.
template <class T, int REST>
__device__ inline void enter(const Elements& p) {
    u32 number = thread_number(), quads = p.target_stride / 4;
    if (number >= quads * p.pixels) return;
    int pixel = number / quads, first = number % quads * 4, plane = p.height * p.width;
    const float* image = (const float*)p.source + (long long)(pixel / plane) * p.channels * plane + pixel % plane;
    float x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int channel = first + i;
        bool is_rest = REST && channel >= p.channels;
        if (is_rest) channel -= p.channels;
        x[i] = channel < p.channels ? image[(long long)channel * plane] : 0;
        if (is_rest) {
            T rounded;
            round_to(x[i], rounded);
            x[i] -= widen(rounded);
            if (x[i] - x[i] != 0) x[i] = 0;  // not finite: other steps multiply it with weights of zero
        }
    }
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
template <class T, int N, int CODE>
__device__ inline void scale(const Elements& p) {
    u32 pixel;
    int channel;
    locate<N>(p.channels, pixel, channel);
    if (pixel >= p.pixels) return;
    float x[N], factor[N], bias[N];
    load(x, (const T*)p.source + (long long)pixel * p.source_stride + channel);
    if (p.factors) {
        load(factor, p.factors + channel), load(bias, p.biases + channel);
#pragma unroll
        for (int i = 0; i < N; i++) x[i] = factor[i] * x[i] + bias[i];
    }
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = activate<CODE>(x[i], p.slope);
    store((T*)p.target + (long long)pixel * p.target_stride + channel, x);
}

// The middle of a picture, times `alpha`, plus `beta`.
template <class T, int N>
__device__ inline void crop(const Elements& p) {
    u32 pixel;
    int channel;
    locate<N>(p.channels, pixel, channel);
    if (pixel >= p.pixels) return;
    u32 line = pixel / p.out_width, image = line / p.out_height;
    int x = pixel - line * p.out_width + p.left, y = line - image * p.out_height + p.top;
    float at[N];
    load(at, (const T*)p.source + (((long long)image * p.height + y) * p.width + x) * p.source_stride + channel);
#pragma unroll
    for (int i = 0; i < N; i++) at[i] = p.alpha * at[i] + p.beta;
    store((T*)p.target + (long long)pixel * p.target_stride + channel, at);
}

// The other's pixel that is added to this `pixel`; -1 where none is. Divisions would take as long as memory.
__device__ inline int find_other(const Elements& p, u32 pixel) {
    if (p.height == p.other_height && p.width == p.other_width) return pixel;
    u32 line = pixel / p.width, image = line / p.height;
    u32 column = pixel - line * p.width, row = line - image * p.height;
    u32 x = column / p.spread, y = row / p.spread;
    bool between = x * p.spread != column || y * p.spread != row;
    x *= p.stride, y *= p.stride;
    return between || x >= p.other_width || y >= p.other_height ? -1 : (image * p.other_height + y) * p.other_width + x;
}

// activation(alpha * x + beta * other) where both exist, activation(x) elsewhere; cells of x `spread` apart are paired
// with cells of the other `stride` apart.
template <class T, int N, int CODE>
__device__ inline void add(const Elements& p) {
    u32 pixel;
    int channel;
    locate<N>(p.channels, pixel, channel);
    if (pixel >= p.pixels) return;
    int at = channel < p.other_channels ? find_other(p, pixel) : -1;
    float x[N], other[N];
    load(x, (const T*)p.source + (long long)pixel * p.source_stride + channel);
    if (at >= 0) {
        load(other, (const T*)p.other + (long long)at * p.other_stride + channel);
#pragma unroll
        for (int i = 0; i < N; i++)
            if (channel + i < p.other_channels) x[i] = p.alpha * x[i] + p.beta * other[i];
    }
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = activate<CODE>(x[i], p.slope);
    store((T*)p.target + (long long)pixel * p.target_stride + channel, x);
}

// activation(x * factor), x being the other; a pixel of factors applies to `height` x `width` pixels, and a single
// channel of them to all channels.
template <class T, int N, int CODE>
__device__ inline void scale_channels(const Elements& p) {
    u32 pixel;
    int channel;
    locate<N>(p.channels, pixel, channel);
    if (pixel >= p.pixels) return;
    const T* factors = (const T*)p.source + (long long)(pixel / (p.height * p.width)) * p.source_stride;
    float x[N], factor[N];
    load(x, (const T*)p.other + (long long)pixel * p.other_stride + channel);
    if (p.factor_channels == 1) {
        float all = widen(factors[0]);
#pragma unroll
        for (int i = 0; i < N; i++) factor[i] = all;
    } else {
        load(factor, factors + channel);
    }
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = activate<CODE>(x[i] * factor[i], p.slope);
    store((T*)p.target + (long long)pixel * p.target_stride + channel, x);
}
