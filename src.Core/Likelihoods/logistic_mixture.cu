// Loss and gradient of LogisticMixture in one pass. LogisticMixtureKernel.cs has the formulas; the edge cases are the same.
//
// Compiled at run time with COMPONENTS (n), CHANNELS (1 or 3) and THREADS. One thread computes one pixel. Its parameters are a column of
// the block's tile in shared memory, where every derivative of a component's log-probability replaces its parameter. At the end it is
// multiplied by the component's posterior. Neighbouring threads read and write neighbouring addresses, and no thread waits for another.

#define PARTS (CHANNELS == 1 ? 2 : 3)
#define PER_COMPONENT (1 + CHANNELS * PARTS)
#define OUTPUTS (COMPONENTS * PER_COMPONENT)

#define LEAST_LOG_SCALE -7.0f
#define LEAST_MASS 1e-5f
#define HALF_BIN (1.0f / 255.0f)

// above this log-scale 1/scale is 0, as on the CPU: smaller numbers would overflow in 1 / (D (1 - g^2))
#define MOST_LOG_SCALE 80.0f

struct Bin
{
    // log mass = linear + log factor
    float linear;
    float factor;
    float byMean;
    float byLogScale;
};

// The bin around x; what its caller does not use is not computed.
__device__ __forceinline__ Bin binAround(float x, float mean, float rawLogScale)
{
    // in this form a NaN stays
    float logScale = rawLogScale < LEAST_LOG_SCALE ? LEAST_LOG_SCALE : rawLogScale;
    float inverse = logScale > MOST_LOG_SCALE ? 0.0f : expf(-logScale);
    float a = (x - mean) * inverse;
    float h = inverse * HALF_BIN;
    float lessG = expm1f(-h);
    float g = 1.0f + lessG;

    bool edge = fabsf(x) > 0.999f;
    float q = h - a * copysignf(1.0f, x);
    float E = expf(-fabsf(edge ? q : a));

    float E2 = 1.0f + E * E;
    float g2 = 1.0f + g * g;
    float D = E * g2 + g * E2;
    float width = -lessG * (1.0f + g); // 1 - g^2
    float overBoth = 1.0f / (D * width);
    float overE = 1.0f / (1.0f + E);
    float factorInside = overBoth * width * width;
    bool inside = E * factorInside > LEAST_MASS;
    float lessE = 1.0f - E;

    float slope = inside ? g * lessE * (1.0f + E) * width * overBoth : lessE * overE;
    float byWidth = inside ? h * g * (4.0f * E * g + E2 * g2) * overBoth : 1.0f;
    float tail = (q < 0.0f ? 1.0f : E) * overE; // sigmoid(-q)

    Bin bin;
    bin.linear = edge ? (q > 0.0f ? 0.0f : q) : -fabsf(a) - (inside ? 0.0f : logScale);
    bin.factor = edge ? overE : inside ? factorInside : overE * overE * (1.0f / 127.5f);
    bin.byMean = (edge ? copysignf(tail, x) : copysignf(slope, a)) * inverse;
    bin.byLogScale = edge ? -q * tail : fabsf(a) * slope - byWidth;
    if (rawLogScale < LEAST_LOG_SCALE)
        bin.byLogScale = 0.0f;
    return bin;
}

__device__ __forceinline__ float tangent(float x)
{
    float lessOne = expm1f(-2.0f * fabsf(x));
    return copysignf(lessOne / (lessOne + 2.0f), x);
}

// A row of the tile is a parameter, or joint, of a component; a column is a thread.
#define ROW(row) column[(row) * THREADS]
#define PART(channel, part) ROW((1 + (channel) * PARTS + (part)) * COMPONENTS + k)
#define JOINT ROW(OUTPUTS + k)

// One component: its log joint probability, and the derivatives of that in place of the parameters.
template <bool GRADIENT>
__device__ __forceinline__ void component(float* column, const float* x, int k)
{
    float mean[CHANNELS];
#pragma unroll
    for (int channel = 0; channel < CHANNELS; channel++)
        mean[channel] = PART(channel, 0);
#if CHANNELS == 3
    float tangent0 = tangent(PART(0, 2)), tangent1 = tangent(PART(1, 2)), tangent2 = tangent(PART(2, 2));
    mean[1] += tangent0 * x[0];
    mean[2] += tangent1 * x[0] + tangent2 * x[1];
#endif
    float linear = ROW(k);
    float factor = 1.0f;
    float byMean[CHANNELS];
#pragma unroll
    for (int channel = 0; channel < CHANNELS; channel++)
    {
        Bin bin = binAround(x[channel], mean[channel], PART(channel, 1));
        linear += bin.linear;
        factor *= bin.factor;
        byMean[channel] = bin.byMean;
        if (GRADIENT)
        {
            PART(channel, 0) = bin.byMean;
            PART(channel, 1) = bin.byLogScale;
        }
    }
#if CHANNELS == 3
    if (GRADIENT)
    {
        PART(0, 2) = byMean[1] * x[0] * (1.0f - tangent0) * (1.0f + tangent0);
        PART(1, 2) = byMean[2] * x[0] * (1.0f - tangent1) * (1.0f + tangent1);
        PART(2, 2) = byMean[2] * x[1] * (1.0f - tangent2) * (1.0f + tangent2);
    }
#endif
    JOINT = linear + logf(factor);
}

// Exponentials of the rows from first on, less their maximum, in place of the rows. Returns the logarithm of the sum of e^row.
__device__ __forceinline__ float exponentials(float* column, int first, float* sum)
{
    float most = ROW(first);
    for (int k = 1; k < COMPONENTS; k++)
        most = fmaxf(most, ROW(first + k));
    *sum = 0.0f;
    for (int k = 0; k < COMPONENTS; k++)
    {
        float power = expf(ROW(first + k) - most);
        ROW(first + k) = power;
        *sum += power;
    }
    return most + logf(*sum);
}

// output (B, OUTPUTS, area), pixels (B, CHANNELS, area), nats (B, area); gradient like output. count = B * area; area * OUTPUTS < 2^32.
template <bool GRADIENT>
__device__ __forceinline__ void pixel(
    float* tile, const float* __restrict__ output, const unsigned char* __restrict__ pixels, float* __restrict__ nats,
    float* __restrict__ gradient, unsigned int area, unsigned int count, float scale)
{
    unsigned int index = blockIdx.x * THREADS + threadIdx.x;
    if (index >= count)
        return;
    unsigned int image = index / area;
    unsigned int position = index - image * area;
    size_t start = (size_t)image * OUTPUTS * area + position;
    float* column = tile + threadIdx.x;

#pragma unroll 16
    for (unsigned int row = 0; row < OUTPUTS; row++)
        ROW(row) = output[start + row * area];
    float x[CHANNELS];
#pragma unroll
    for (unsigned int channel = 0; channel < CHANNELS; channel++)
        x[channel] = (float)pixels[(size_t)image * CHANNELS * area + channel * area + position] * (1.0f / 127.5f) - 1.0f;

#pragma unroll 1
    for (int k = 0; k < COMPONENTS; k++)
        component<GRADIENT>(column, x, k);

    float joint, weights;
    float logJoint = exponentials(column, OUTPUTS, &joint);
    float logWeights = exponentials(column, 0, &weights);
    nats[index] = logWeights - logJoint;

    if (GRADIENT)
    {
        float ofJoint = -scale / joint, ofWeights = scale / weights;
#pragma unroll 2
        for (unsigned int k = 0; k < COMPONENTS; k++)
        {
            float posterior = JOINT * ofJoint;
            gradient[start + k * area] = ROW(k) * ofWeights + posterior;
#pragma unroll
            for (unsigned int part = 1; part < PER_COMPONENT; part++)
            {
                unsigned int row = part * COMPONENTS + k;
                gradient[start + row * area] = ROW(row) * posterior;
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) logistic_mixture_loss(
    const float* __restrict__ output, const unsigned char* __restrict__ pixels, float* __restrict__ nats, unsigned int area,
    unsigned int count)
{
    __shared__ float tile[(OUTPUTS + COMPONENTS) * THREADS];
    pixel<false>(tile, output, pixels, nats, 0, area, count, 0.0f);
}

// gradient receives scale times the derivatives of a pixel's nats.
extern "C" __global__ void __launch_bounds__(THREADS) logistic_mixture_gradient(
    const float* __restrict__ output, const unsigned char* __restrict__ pixels, float* __restrict__ nats, float* __restrict__ gradient,
    unsigned int area, unsigned int count, float scale)
{
    __shared__ float tile[(OUTPUTS + COMPONENTS) * THREADS];
    pixel<true>(tile, output, pixels, nats, gradient, area, count, scale);
}

// Multiplies each image's gradient by its weight / mean. Where all weights are the mean, as in training, nothing is read but the weights.
// blocks = B * blocksPerImage, perImage numbers each.
extern "C" __global__ void __launch_bounds__(THREADS) weigh_gradient(
    float* __restrict__ gradient, const float* __restrict__ weights, float mean, unsigned int perImage, unsigned int blocksPerImage)
{
    unsigned int image = blockIdx.x / blocksPerImage;
    float weight = weights[image];
    if (weight == mean)
        return;
    float factor = weight / mean;
    float* first = gradient + (size_t)image * perImage;
    // 64 bits: the last step may pass 2^32
    size_t step = (size_t)blocksPerImage * THREADS;
    for (size_t index = (size_t)(blockIdx.x % blocksPerImage) * THREADS + threadIdx.x; index < perImage; index += step)
        first[index] *= factor;
}
