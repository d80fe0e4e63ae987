// Just enough of CUDA for a C++ compiler to run a kernel of jaxland on a CPU: the threads of a block are threads of the
// process, and those of a warp meet at every shuffle.
#include <barrier>
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

struct Index { unsigned x; };
static thread_local Index threadIdx, blockIdx;
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
static float4 read(const float *place) { return *(const float4 *)place; }
static double2 read(const double *place) { return *(const double2 *)place; }
#define __global__
#define __shared__
#define __align__(n)
#define __launch_bounds__(...)
#define __restrict__

static std::vector<std::unique_ptr<std::barrier<>>> warps;
static std::vector<unsigned long long> lanes;

template <class To, class From> static To same_bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}
static int __float_as_int(float v) { return same_bits<int>(v); }
static float __int_as_float(int v) { return same_bits<float>(v); }
static long long __double_as_longlong(double v) { return same_bits<long long>(v); }
static double __longlong_as_double(long long v) { return same_bits<double>(v); }

static void __syncwarp() { warps[threadIdx.x / 32]->arrive_and_wait(); }
template <class T> static T __shfl_xor_sync(unsigned, T value, int mask) {
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  lanes[threadIdx.x] = bits;
  __syncwarp();
  bits = lanes[threadIdx.x ^ mask];
  __syncwarp();
  T result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

template <class Kernel> static void launch(int blocks, int threads, Kernel kernel) {
  lanes.assign(threads, 0);
  warps.clear();
  for (int w = 0; w * 32 < threads; ++w) warps.push_back(std::make_unique<std::barrier<>>(32));
  for (int b = 0; b < blocks; ++b) {
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
      all.emplace_back([=] { threadIdx.x = t; blockIdx.x = b; kernel(); });
    for (auto &one : all) one.join();
  }
}
