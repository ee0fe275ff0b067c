// Convolutions whose filters have a channel of their own each ("depthwise"): they move more numbers than they multiply.
//
// A thread computes N neighbouring channels of ROWS x COLUMNS pixels of the output, and reads each number of the source
// once for all of these. Neighbouring threads have neighbouring channels, LANES x N of them; then come ACROSS tiles beside
// each other, and below each other as many as the thread block has threads for, so that most of what tiles share is read
// from the multiprocessor's own cache. Weights are float32, [row and column of the window][channel].

// SIZE x SIZE windows STRIDE apart, unrolled; a SIZE of 0 stands for windows of any kind, for tiles of one pixel.
template <class T, int SIZE, int STRIDE, int ROWS, int COLUMNS, int N, int LANES, int ACROSS, int ACTIVATION, int FINAL>
__device__ inline void depthwise(const Convolution& p) {
    static_assert(SIZE || ROWS * COLUMNS == 1);
    const int size_y = SIZE ? SIZE : p.size_y, size_x = SIZE ? SIZE : p.size_x, stride = SIZE ? STRIDE : p.stride;
    int channels = p.group_filters;
    u32 blocks_deep = (channels + LANES * N - 1) / (LANES * N);
    u32 blocks_wide = (p.out_width + ACROSS * COLUMNS - 1) / (ACROSS * COLUMNS);
    u32 tiles_high = (p.out_height + ROWS - 1) / ROWS;  // of a picture
    u32 place = blockIdx.x / blocks_deep, thread = threadIdx.x / LANES;
    int channel = (blockIdx.x % blocks_deep * LANES + threadIdx.x % LANES) * N;
    int column = (place % blocks_wide * ACROSS + thread % ACROSS) * COLUMNS;
    u32 tile_row = place / blocks_wide * (blockDim.x / (LANES * ACROSS)) + thread / ACROSS;  // in all pictures
    int row = tile_row % tiles_high * ROWS;
    long long image = tile_row / tiles_high;
    long long pixel = (image * p.out_height + row) * p.out_width + column;
    if (channel >= channels || column >= p.out_width || pixel >= p.pixels) return;

    float sums[ROWS][COLUMNS][N];
    load(sums[0][0], p.biases + channel);
#pragma unroll
    for (int i = 1; i < ROWS * COLUMNS; i++)
#pragma unroll
        for (int k = 0; k < N; k++) sums[i / COLUMNS][i % COLUMNS][k] = sums[0][0][k];

    int top = row * stride - p.padding, left = column * stride - p.padding;
    const T* corner = (const T*)p.source + ((image * p.height + top) * p.width + left) * p.source_stride + channel;
    int line = p.width * p.source_stride;
    const float* weights = (const float*)p.weights + channel;
    // The channels that fill up the target's last pack lie beyond the pixels of a source of quads.
    int height = channel < p.source_stride ? p.height : 0;
#pragma unroll
    for (int y = 0; y < (ROWS - 1) * stride + size_y; y++)
#pragma unroll
        for (int x = 0; x < (COLUMNS - 1) * stride + size_x; x++) {
            bool inside = (u32)(top + y) < (u32)height && (u32)(left + x) < (u32)p.width;
            Vector<T, N> vector;
            auto& words = (u32(&)[sizeof(vector) / 4])vector;
            load_or_zero(words, corner + (long long)y * line + x * p.source_stride, inside);
            float numbers[N];
            load(numbers, vector.numbers);
#pragma unroll
            for (int i = 0; i < ROWS * COLUMNS; i++) {
                int window_y = y - i / COLUMNS * stride, window_x = x - i % COLUMNS * stride;
                if (window_y < 0 || window_y >= size_y || window_x < 0 || window_x >= size_x) continue;
                float weight[N];
                load(weight, weights + (window_y * size_x + window_x) * channels);
#pragma unroll
                for (int k = 0; k < N; k++) sums[i / COLUMNS][i % COLUMNS][k] += numbers[k] * weight[k];
            }
        }

#pragma unroll
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        if (row + i / COLUMNS >= p.out_height || column + i % COLUMNS >= p.out_width) continue;
        float(&x)[N] = sums[i / COLUMNS][i % COLUMNS];
        long long at = pixel + i / COLUMNS * p.out_width + i % COLUMNS;
#pragma unroll
        for (int k = 0; k < N; k++) x[k] = activate<ACTIVATION>(x[k], p.slope);
        if (p.residual) {
            float more[N];
            load(more, (const T*)p.residual + at * p.residual_stride + channel);
#pragma unroll
            for (int k = 0; k < N; k++) x[k] = activate<FINAL>(x[k] + more[k], p.final_slope);
        }
        store((T*)p.target + at * p.target_stride + channel, x);
    }
}
