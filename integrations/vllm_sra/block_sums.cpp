// Partial softmaxes over blocks of transposed keys: each key is read once, for all query heads of its group.

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace {

using Vec = at::vec::Vectorized<float>;
constexpr int64_t kColumns = 2 * Vec::size();  // keys whose scores are summed in registers
constexpr int64_t kHeadsAtOnce = 6;  // with them their sums fill the registers of AVX2

// Stands for -inf where 0 * -inf would spoil a sum.
constexpr float kHidden = -1e30f;

std::tuple<Vec, Vec> widened(const float* numbers) {
  return {Vec::loadu(numbers), Vec::loadu(numbers + Vec::size())};
}

template <typename Number>
std::tuple<Vec, Vec> widened(const Number* numbers) {
  return at::vec::convert_to_float<Number>(at::vec::Vectorized<Number>::loadu(numbers));
}

// Rows of D numbers of a block, and those of the block that comes next.
template <typename Number>
struct Block {
  const Number* rows;
  const Number* next;
  int64_t dim, size;
};

// scores[h][j] = sum over d of query[h][d] * rows[d][j]
template <int64_t kHeads, typename Number>
void score(const Block<Number>& block, const float* query, float* scores) {
  const auto [rows, next, dim, size] = block;
  for (int64_t j = 0; j < size; j += kColumns) {
    const Number* soon = next + j * dim;
    std::array<Vec, kHeads> left, right;
    left.fill(Vec(0.f));
    right.fill(Vec(0.f));
    for (int64_t d = 0; d < dim; ++d) {
      __builtin_prefetch(soon + d * kColumns, 0, 2);
      const auto [a, b] = widened(rows + d * size + j);
      for (int64_t h = 0; h < kHeads; ++h) {
        const Vec number(query[h * dim + d]);
        left[h] = at::vec::fmadd(number, a, left[h]);
        right[h] = at::vec::fmadd(number, b, right[h]);
      }
    }
    for (int64_t h = 0; h < kHeads; ++h) {
      left[h].store(scores + h * size + j);
      right[h].store(scores + h * size + j + Vec::size());
    }
  }
}

template <int64_t kHeads, typename Number>
void score_heads(int64_t heads, const Block<Number>& block, const float* query, float* scores) {
  if (heads >= kHeads) {
    score<kHeads>(block, query, scores);
    heads -= kHeads;
    query += kHeads * block.dim;
    scores += kHeads * block.size;
    if (heads > 0) {
      score_heads<kHeads>(heads, block, query, scores);
    }
  } else if constexpr (kHeads > 1) {
    score_heads<kHeads - 1>(heads, block, query, scores);
  }
}

// The greatest score, the sum of exponentials e, and the sum of e * score, both of scores less the greatest.
std::tuple<float, float, float> softmax_sums(float* scores, int64_t size, int64_t first, int64_t last) {
  std::fill(scores, scores + first, kHidden);
  std::fill(scores + last, scores + size, kHidden);
  Vec peaks = Vec::loadu(scores);
  for (int64_t j = Vec::size(); j < size; j += Vec::size()) {
    peaks = at::vec::maximum(peaks, Vec::loadu(scores + j));
  }
  const float peak = at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return at::vec::maximum(a, b); }, peaks);
  Vec total(0.f), weighted(0.f);
  for (int64_t j = 0; j < size; j += Vec::size()) {
    const Vec less = Vec::loadu(scores + j) - Vec(peak);
    const Vec share = less.exp();
    total = total + share;
    weighted = at::vec::fmadd(share, less, weighted);
  }
  const auto add = [](Vec& a, Vec& b) { return a + b; };
  return {peak, at::vec::vec_reduce_all<float>(add, total), at::vec::vec_reduce_all<float>(add, weighted)};
}

// query (rows, H_q, D), float32, scaled; cache (blocks, H_kv, 2, D, block_size), the keys first; the others (N,), int64:
// a block, which row sees it, and from which to before which of its keys. Returns (3, N, H_q), float32.
at::Tensor block_sums(
    const at::Tensor& query,
    const at::Tensor& cache,
    const at::Tensor& blocks,
    const at::Tensor& owners,
    const at::Tensor& first,
    const at::Tensor& last) {
  const int64_t heads = query.size(1), dim = query.size(2), kv_heads = cache.size(1), size = cache.size(4);
  const int64_t group = heads / kv_heads, count = blocks.size(0);
  TORCH_CHECK(query.is_contiguous() && query.scalar_type() == at::kFloat, "queries have to be contiguous float32");
  TORCH_CHECK(heads == group * kv_heads && cache.size(3) == dim, "queries and keys do not fit");
  TORCH_CHECK(cache.stride(4) == 1 && cache.stride(3) == size, "the keys of a block have to lie in one piece");
  TORCH_CHECK(size % kColumns == 0, "blocks have to hold a multiple of ", kColumns, " keys");
  const auto sums = at::empty({3, count, heads}, query.options());
  const auto *block = blocks.const_data_ptr<int64_t>(), *owner = owners.const_data_ptr<int64_t>();
  const auto *from = first.const_data_ptr<int64_t>(), *to = last.const_data_ptr<int64_t>();
  const auto* numbers = query.const_data_ptr<float>();
  auto* out = sums.mutable_data_ptr<float>();

  const auto serve = [&]<typename Number>(const Number* keys) {
    const auto rows_of = [&](int64_t task) {
      return keys + block[task / kv_heads] * cache.stride(0) + task % kv_heads * cache.stride(1);
    };
    at::parallel_for(0, count * kv_heads, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scores(group * size);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t n = task / kv_heads, head = task % kv_heads * group;
        const Block<Number> here{rows_of(task), rows_of(std::min(task + 1, end - 1)), dim, size};
        score_heads<kHeadsAtOnce>(group, here, numbers + (owner[n] * heads + head) * dim, scores.data());
        for (int64_t g = 0; g < group; ++g) {
          const auto [peak, total, weighted] = softmax_sums(scores.data() + g * size, size, from[n], to[n]);
          float* at = out + n * heads + head + g;
          at[0] = peak;
          at[count * heads] = total;
          at[2 * count * heads] = weighted;
        }
      }
    });
  };
  if (cache.scalar_type() == at::kFloat) {
    serve(cache.const_data_ptr<float>());
  } else if (cache.scalar_type() == at::kBFloat16) {
    serve(cache.const_data_ptr<at::BFloat16>());
  } else {
    serve(cache.const_data_ptr<at::Half>());
  }
  return sums;
}

}  // namespace

TORCH_LIBRARY(sra_vllm, library) {
  library.def(
      "block_sums(Tensor query, Tensor cache, Tensor blocks, Tensor owners, Tensor first, Tensor last) -> Tensor",
      &block_sums);
}
