// Convolutions and connected layers as one product of matrices: rows are pixels of the output, columns its channels, and
// the sums are over the numbers of a window, gathered from the picture as they are needed ("implicit GEMM").
//
// A thread block computes BM x BN of the product, each of its warps WM x WN, from strips of 128 bytes of each row of both
// matrices. STAGES strips are in shared memory, all but one of them still in flight. A strip's row is eight chunks of
// 16 bytes, in an order that differs between rows, so that the same chunk of eight rows is spread over all banks.

constexpr int STRIP = 128;  // bytes
constexpr int CHUNK = 16;

__device__ inline int strip_offset(int row, int chunk) { return row * STRIP + (chunk ^ (row & 7)) * CHUNK; }

// A warp's part of the product by tensor cores; from compute capability 8.0.
template <class T, int WM, int WN>
struct TensorCores {
    static constexpr int SUMS = WM * WN / 32;
    float sums[WM / 16][WN / 8][4] = {};
    int lane = threadIdx.x % 32;

    __device__ float& sum(int i) { return sums[i / (WN / 2)][i / 4 % (WN / 8)][i % 4]; }

    // Adds the product of a strip's rows; `a` and `b` point at the strips of this warp's first rows, both of which are
    // multiples of eight.
    __device__ void add(const char* a, const char* b) {
#pragma unroll
        for (int slice = 0; slice < STRIP / 32; slice++) {
            u32 columns[WN / 16][4];
#pragma unroll
            for (int j = 0; j < WN / 16; j++)
                load_matrices(columns[j], b + strip_offset(16 * j + lane % 8 + lane / 16 * 8, 2 * slice + lane / 8 % 2));
#pragma unroll
            for (int i = 0; i < WM / 16; i++) {
                u32 rows[4];
                load_matrices(rows, a + strip_offset(16 * i + lane % 16, 2 * slice + lane / 16));
#pragma unroll
                for (int j = 0; j < WN / 8; j++)
                    multiply(sums[i][j], rows, columns[j / 2][j % 2 * 2], columns[j / 2][j % 2 * 2 + 1], T());
            }
        }
    }

    // Puts rows 16 i to 16 i + 15 where `at` points, `pitch` numbers apart.
    __device__ void lay_out(int i, float* at, int pitch) {
#pragma unroll
        for (int j = 0; j < WN / 8; j++)
#pragma unroll
            for (int k = 0; k < 4; k++) at[(lane / 4 + k / 2 * 8) * pitch + 8 * j + lane % 4 * 2 + k % 2] = sums[i][j][k];
    }
};

// The same by ordinary multiplications in float32: lane i has rows i % 8 + 8 m and columns i / 8 + 4 n.
template <class T, int WM, int WN>
struct Scalar {
    static constexpr int SUMS = WM * WN / 32;
    float sums[WM / 8][WN / 4] = {};
    int lane = threadIdx.x % 32;

    __device__ float& sum(int i) { return sums[i / (WN / 4)][i % (WN / 4)]; }

    __device__ void add(const char* a, const char* b) {
        constexpr int NUMBERS = CHUNK / sizeof(T);
#pragma unroll
        for (int chunk = 0; chunk < STRIP / CHUNK; chunk++) {
            float rows[WM / 8][NUMBERS];
#pragma unroll
            for (int m = 0; m < WM / 8; m++) load(rows[m], (const T*)(a + strip_offset(lane % 8 + 8 * m, chunk)));
#pragma unroll
            for (int n = 0; n < WN / 4; n++) {
                float column[NUMBERS];
                load(column, (const T*)(b + strip_offset(lane / 8 + 4 * n, chunk)));
#pragma unroll
                for (int k = 0; k < NUMBERS; k++)
#pragma unroll
                    for (int m = 0; m < WM / 8; m++) sums[m][n] += rows[m][k] * column[k];
            }
        }
    }

    __device__ void lay_out(int i, float* at, int pitch) {
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
            for (int n = 0; n < WN / 4; n++) at[(lane % 8 + 8 * m) * pitch + lane / 8 + 4 * n] = sums[2 * i + m][n];
    }
};

// A thread's share in copying the window's numbers: pieces of `PIECE` numbers, at the same place of every strip.
template <class T, int BM, int PIECE, int THREADS>
struct Windows {
    static constexpr int PIECES = STRIP / sizeof(T) / PIECE;  // of a row's strip
    static constexpr int APART = THREADS / PIECES;            // rows that lie between two of this thread
    static constexpr int ROWS = (BM + APART - 1) / APART;
    const T* source;
    int corner[ROWS];  // the window's first number, perhaps outside the picture
    int top[ROWS], left[ROWS];
    int row = threadIdx.x / PIECES;
    int y, x, piece;                 // in the window: row, column, and piece of a pixel
    int step_y, step_x, step_piece;  // from one strip to the next

    __device__ Windows(const Convolution& p, int first_row, int group, int first_strip) {
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            int pixel = first_row + row + i * APART;
            int lines = pixel / p.out_width, column = pixel - lines * p.out_width;
            int image = lines / p.out_height, line = lines - image * p.out_height;
            top[i] = pixel < p.pixels ? line * p.stride - p.padding : -p.size_y;  // a window of nothing
            left[i] = column * p.stride - p.padding;
            corner[i] = ((image * p.height + top[i]) * p.width + left[i]) * p.source_stride;
        }
        source = (const T*)p.source + group * p.group_channels;
        int of_pixel = p.group_channels / PIECE;
        place(first_strip * PIECES + threadIdx.x % PIECES, of_pixel, p.size_x, y, x, piece);
        place(PIECES, of_pixel, p.size_x, step_y, step_x, step_piece);
    }

    // Where in a window the piece of this `number` is.
    __device__ static void place(int number, int of_pixel, int size_x, int& y, int& x, int& piece) {
        piece = number % of_pixel;
        x = number / of_pixel % size_x;
        y = number / of_pixel / size_x;
    }

    // Copies this thread's pieces of a strip to `to`, and goes on to the next strip.
    __device__ void copy(const Convolution& p, char* to) {
        int offset = (y * p.width + x) * p.source_stride + piece * PIECE;
        int place = threadIdx.x % PIECES * PIECE * (int)sizeof(T);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            int at = row + i * APART;
            bool inside = y < p.size_y && (u32)(top[i] + y) < (u32)p.height && (u32)(left[i] + x) < (u32)p.width;
            if (BM % APART == 0 || at < BM)
                copy_async<PIECE * sizeof(T)>(to + strip_offset(at, place / CHUNK) + place % CHUNK,
                                              inside ? source + (corner[i] + offset) : source, inside);
        }
        int of_pixel = p.group_channels / PIECE;
        piece += step_piece;
        bool carry = piece >= of_pixel;
        if (carry) piece -= of_pixel;
        x += step_x + carry;
        carry = x >= p.size_x;
        if (carry) x -= p.size_x;
        y += step_y + carry;
    }
};

// A thread's share in copying the weights, whose rows are whole strips.
template <class T, int BN, int THREADS>
struct Weights {
    static constexpr int CHUNKS = STRIP / CHUNK;
    static constexpr int APART = THREADS / CHUNKS;
    const char* from;
    int row = threadIdx.x / CHUNKS, left;  // how many of the thread block's rows there are
    long long pitch;                       // bytes

    __device__ Weights(const Convolution& p, int first_row, int group, int first_strip) {
        pitch = (long long)p.strips * STRIP;
        left = p.group_filters - first_row;
        from = (const char*)p.weights + ((long long)group * p.group_filters + first_row + row) * pitch
               + (long long)first_strip * STRIP + threadIdx.x % CHUNKS * CHUNK;
    }

    __device__ void copy(const Convolution& p, char* to) {
#pragma unroll
        for (int i = 0; i < (BN + APART - 1) / APART; i++) {
            int at = row + i * APART;
            bool inside = at < left;
            if (BN % APART == 0 || at < BN)
                copy_async<CHUNK>(to + strip_offset(at, threadIdx.x % CHUNKS),
                                  inside ? from + i * APART * pitch : (const char*)p.weights, inside);
        }
        from += STRIP;
    }
};

// Adds the sums of all thread blocks that share a tile, in their order; true for the last to arrive, which has them.
template <int THREADS, class Product>
__device__ bool collect(const Convolution& p, Product& product, int tile, int split) {
    __shared__ bool last;
    float* shares = p.workspace + (long long)tile * p.splits * Product::SUMS * THREADS + threadIdx.x;
    float* mine = shares + (long long)split * Product::SUMS * THREADS;
#pragma unroll
    for (int i = 0; i < Product::SUMS; i++) mine[i * THREADS] = product.sum(i);
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();  // all before the barrier, other threads' sums too, is visible before the count
        last = atomicAdd(p.arrived + tile, 1) == p.splits - 1;
        __threadfence();
        if (last) p.arrived[tile] = 0;  // for the next launch
    }
    __syncthreads();
    if (!last) return false;
#pragma unroll
    for (int i = 0; i < Product::SUMS; i++) product.sum(i) = 0;
    for (int s = 0; s < p.splits; s++)
#pragma unroll
        for (int i = 0; i < Product::SUMS; i++)
            product.sum(i) += load_shared_by_blocks(shares + ((long long)s * Product::SUMS + i) * THREADS);
    return true;
}

// final activation(activation(x + bias) + residual) of `N` channels of a pixel, stored.
template <class T, int CODE, int FINAL_CODE, int N>
__device__ inline void finish(const Convolution& p, long long pixel, int channel, float (&x)[N]) {
    float more[N];
    load(more, p.biases + channel);
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = activate<CODE>(x[i] + more[i], p.slope);
    if (p.residual) {
        load(more, (const T*)p.residual + pixel * p.residual_stride + channel);
#pragma unroll
        for (int i = 0; i < N; i++) x[i] = activate<FINAL_CODE>(x[i] + more[i], p.final_slope);
    }
    store((T*)p.target + pixel * p.target_stride + channel, x);
}

template <class T, template <class, int, int> class Product, int BM, int BN, int WM, int WN, int STAGES, int PIECE,
          int CODE, int FINAL_CODE>
__device__ inline void convolve(const Convolution& p) {
    constexpr int WARPS = BM / WM * (BN / WN), THREADS = 32 * WARPS;
    constexpr int STAGE = (BM + BN) * STRIP;
    char* memory = shared_memory();
    int split = blockIdx.y % p.splits, group = blockIdx.y / p.splits;
    // Thread blocks of the same pixels follow each other: those are then read from memory once.
    int first_row = blockIdx.x / p.column_tiles * BM, first_column = blockIdx.x % p.column_tiles * BN;
    int first_strip = (long long)p.strips * split / p.splits;
    int strips = (long long)p.strips * (split + 1) / p.splits - first_strip;
    Windows<T, BM, PIECE, THREADS> windows(p, first_row, group, first_strip);
    Weights<T, BN, THREADS> weights(p, first_column, group, first_strip);
    int warp = threadIdx.x / 32;
    int row = warp / (BN / WN) * WM, column = warp % (BN / WN) * WN;
    Product<T, WM, WN> product;
    for (int i = 0; i < STAGES - 1; i++) {
        if (i < strips) {
            windows.copy(p, memory + i * STAGE);
            weights.copy(p, memory + i * STAGE + BM * STRIP);
        }
        commit_copies();
    }
    int reading = 0, writing = (STAGES - 1) * STAGE;
    for (int i = 0; i < strips; i++) {
        wait_copies<STAGES - 2>();
        __syncthreads();  // strip i has arrived, and nobody reads strip i - 1 any more
        if (i + STAGES - 1 < strips) {
            windows.copy(p, memory + writing);
            weights.copy(p, memory + writing + BM * STRIP);
        }
        commit_copies();
        product.add(memory + reading + row * STRIP, memory + reading + (BM + column) * STRIP);
        writing = reading;
        reading = reading + STAGE < STAGES * STAGE ? reading + STAGE : 0;
    }
    if (p.splits > 1) {
        if (!collect<THREADS>(p, product, blockIdx.x + gridDim.x * group, split)) return;
    }
    wait_copies<0>();
    __syncthreads();
    // Each warp turns 16 rows at a time, so that a thread has neighbouring channels.
    constexpr int NUMBERS = 16 / sizeof(T), PITCH = WN + 4;
    float* own = (float*)memory + warp * 16 * PITCH;
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < WM / 16; i++) {
        product.lay_out(i, own, PITCH);
        __syncwarp();
        for (int part = lane; part < 16 * WN / NUMBERS; part += 32) {
            int line = part / (WN / NUMBERS), channel = part % (WN / NUMBERS) * NUMBERS;
            int pixel = first_row + row + 16 * i + line, filter = first_column + column + channel;
            float x[NUMBERS];
#pragma unroll
            for (int k = 0; k < NUMBERS; k++) x[k] = own[line * PITCH + channel + k];
            if (pixel < p.pixels && filter < p.group_filters)
                finish<T, CODE, FINAL_CODE>(p, pixel, group * p.group_filters + filter, x);
        }
        __syncwarp();
    }
}
