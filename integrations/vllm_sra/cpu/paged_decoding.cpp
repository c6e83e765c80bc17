// Attention of decoding rows over blocks of keys, stored as (D, block_size), and values, stored as (block_size, D).
// There are two steps: block_scores computes scores, attend computes the values weighted by softmax(factor * scores).
// Between them the caller computes the factors from the entropies of the rows.
// Each key and each value is read once for all query heads of its group.

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
constexpr int64_t kColumns = 2 * Vec::size();  // columns whose sums are kept in registers
constexpr int64_t kHeadsAtOnce = 6;  // the sums of this many heads fill the registers of AVX2

// Used instead of -inf, because 0 * -inf is NaN.
constexpr float kHidden = -1e30f;

std::tuple<Vec, Vec> widened(const float* numbers) {
  return {Vec::loadu(numbers), Vec::loadu(numbers + Vec::size())};
}

template <typename Number>
std::tuple<Vec, Vec> widened(const Number* numbers) {
  return at::vec::convert_to_float<Number>(at::vec::Vectorized<Number>::loadu(numbers));
}

// A contiguous matrix, and the start of the matrix that is multiplied next.
template <typename Number>
struct Matrix {
  const Number* numbers;
  const Number* next;
  int64_t rows, columns;
};

// out[h][c] = sum over r of weights[h][r] * matrix[r][c]. Meanwhile the next matrix is prefetched from front to back.
template <int64_t kHeads, typename Number>
void multiply_heads(const float* weights, const Matrix<Number>& matrix, float* out) {
  const auto [numbers, next, rows, columns] = matrix;
  for (int64_t c = 0; c < columns; c += kColumns) {
    const Number* prefetched = next + c * rows;
    std::array<Vec, kHeads> left, right;
    left.fill(Vec(0.f));
    right.fill(Vec(0.f));
    for (int64_t r = 0; r < rows; ++r) {
      __builtin_prefetch(prefetched + r * kColumns, 0, 2);
      const auto [a, b] = widened(numbers + r * columns + c);
      for (int64_t h = 0; h < kHeads; ++h) {
        const Vec weight(weights[h * rows + r]);
        left[h] = at::vec::fmadd(weight, a, left[h]);
        right[h] = at::vec::fmadd(weight, b, right[h]);
      }
    }
    for (int64_t h = 0; h < kHeads; ++h) {
      left[h].store(out + h * columns + c);
      right[h].store(out + h * columns + c + Vec::size());
    }
  }
}

template <int64_t kHeads = kHeadsAtOnce, typename Number>
void multiply(int64_t heads, const float* weights, const Matrix<Number>& matrix, float* out) {
  if (heads >= kHeads) {
    multiply_heads<kHeads>(weights, matrix, out);
    if (heads > kHeads) {
      multiply<kHeads>(heads - kHeads, weights + kHeads * matrix.rows, matrix, out + kHeads * matrix.columns);
    }
  } else if constexpr (kHeads > 1) {
    multiply<kHeads - 1>(heads, weights, matrix, out);
  }
}

// The maximum score m, sum exp(score - m), and sum exp(score - m) * (score - m).
std::tuple<float, float, float> softmax_sums(const float* scores, int64_t size) {
  Vec peaks = Vec::loadu(scores);
  for (int64_t j = Vec::size(); j < size; j += Vec::size()) {
    peaks = at::vec::maximum(peaks, Vec::loadu(scores + j));
  }
  const float peak = at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return at::vec::maximum(a, b); }, peaks);
  Vec total(0.f), weighted(0.f);
  for (int64_t j = 0; j < size; j += Vec::size()) {
    const Vec shifted = Vec::loadu(scores + j) - Vec(peak);
    const Vec weight = shifted.exp();
    total = total + weight;
    weighted = at::vec::fmadd(weight, shifted, weighted);
  }
  const auto add = [](Vec& a, Vec& b) { return a + b; };
  return {peak, at::vec::vec_reduce_all<float>(add, total), at::vec::vec_reduce_all<float>(add, weighted)};
}

// Pairs of a query row and a block of keys and values that the row attends to.
struct Seen {
  at::Tensor cache, blocks, owners, first, last;
  int64_t kv_heads, dim, size, count, group;

  Seen(
      const at::Tensor& cache,
      const at::Tensor& blocks,
      const at::Tensor& owners,
      const at::Tensor& first,
      const at::Tensor& last,
      int64_t heads)
      : cache(cache), blocks(blocks), owners(owners), first(first), last(last),
        kv_heads(cache.size(1)), dim(cache.size(3)), size(cache.size(4)), count(blocks.size(0)),
        group(heads / kv_heads) {
    TORCH_CHECK(heads == group * kv_heads, heads, " query heads are not a multiple of ", kv_heads, " key heads");
    TORCH_CHECK(cache.stride(4) == 1 && cache.stride(3) == size, "the keys of a block must be contiguous");
  }

  // Call serve(n, kv_head, numbers, next) for each block and key head. `numbers` are its keys (part 0) or values
  // (part 1), `next` those of the next call.
  template <typename Serve>
  void each(int64_t part, const Serve& serve) const {
    const auto run = [&]<typename Number>(const Number* numbers) {
      const auto* block = blocks.const_data_ptr<int64_t>();
      const auto at_task = [&](int64_t task) {
        return numbers + block[task / kv_heads] * cache.stride(0) + task % kv_heads * cache.stride(1) +
            part * cache.stride(2);
      };
      at::parallel_for(0, count * kv_heads, 1, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
          serve(task / kv_heads, task % kv_heads, at_task(task), at_task(std::min(task + 1, end - 1)));
        }
      });
    };
    if (cache.scalar_type() == at::kFloat) {
      run(cache.const_data_ptr<float>());
    } else if (cache.scalar_type() == at::kBFloat16) {
      run(cache.const_data_ptr<at::BFloat16>());
    } else {
      run(cache.const_data_ptr<at::Half>());
    }
  }
};

void require_rows(const at::Tensor& numbers) {
  TORCH_CHECK(
      numbers.is_contiguous() && numbers.scalar_type() == at::kFloat, "a contiguous float32 tensor is required");
}

// Arguments: query (R, H_q, D), float32, multiplied by the scale; cache (blocks, H_kv, 2, D, block_size), keys first.
// The others are (N,), int64: index of a block, the row that attends to it, and the range of its visible keys; the end
// of the range is exclusive.
// Returns, in float32: the scores (N, H_q, block_size); and (3, N, H_q), which has for each block and head the maximum
// score m, sum exp(score - m), and sum exp(score - m) * (score - m).
std::tuple<at::Tensor, at::Tensor> block_scores(
    const at::Tensor& query,
    const at::Tensor& cache,
    const at::Tensor& blocks,
    const at::Tensor& owners,
    const at::Tensor& first,
    const at::Tensor& last) {
  require_rows(query);
  const int64_t heads = query.size(1);
  const Seen seen(cache, blocks, owners, first, last, heads);
  const auto [dim, size, count, group] = std::tuple(seen.dim, seen.size, seen.count, seen.group);
  TORCH_CHECK(query.size(2) == dim, "queries and keys differ in their head size");
  TORCH_CHECK(size % kColumns == 0, "the block size must be a multiple of ", kColumns);
  const auto scores = at::empty({count, heads, size}, query.options());
  const auto sums = at::empty({3, count, heads}, query.options());
  const auto *owner = owners.const_data_ptr<int64_t>(), *from = first.const_data_ptr<int64_t>(),
             *to = last.const_data_ptr<int64_t>();
  const auto* queries = query.const_data_ptr<float>();
  auto *scored = scores.mutable_data_ptr<float>(), *summed = sums.mutable_data_ptr<float>();
  seen.each(0, [&]<typename Number>(int64_t n, int64_t kv_head, const Number* keys, const Number* next) {
    const int64_t head = kv_head * group;
    float* out = scored + (n * heads + head) * size;
    multiply(group, queries + (owner[n] * heads + head) * dim, Matrix<Number>{keys, next, dim, size}, out);
    for (int64_t g = 0; g < group; ++g, out += size) {
      std::fill(out, out + from[n], kHidden);
      std::fill(out + to[n], out + size, kHidden);
      const auto [peak, total, weighted] = softmax_sums(out, size);
      float* at = summed + n * heads + head + g;
      at[0] = peak;
      at[count * heads] = total;
      at[2 * count * heads] = weighted;
    }
  });
  return {scores, sums};
}

// Arguments: scores from block_scores, of all blocks that the rows attend to; beta (R, H_q), greater than 0; peak
// (R, H_q), the maximum score of a row. The values of a block are stored as (block_size, D).
// Returns softmax(beta * scores) V, (R, H_q, D), float32.
at::Tensor attend(
    const at::Tensor& scores,
    const at::Tensor& beta,
    const at::Tensor& peak,
    const at::Tensor& cache,
    const at::Tensor& blocks,
    const at::Tensor& owners,
    const at::Tensor& first,
    const at::Tensor& last) {
  require_rows(scores);
  require_rows(beta);
  require_rows(peak);
  const int64_t heads = scores.size(1), n_rows = beta.size(0);
  const Seen seen(cache, blocks, owners, first, last, heads);
  const auto [dim, size, count, group] = std::tuple(seen.dim, seen.size, seen.count, seen.group);
  TORCH_CHECK(dim % kColumns == 0, "the head size must be a multiple of ", kColumns);
  const auto parts = at::empty({count, heads, dim}, scores.options());
  const auto totals = at::empty({count, heads}, scores.options());
  const auto *owner = owners.const_data_ptr<int64_t>(), *from = first.const_data_ptr<int64_t>(),
             *to = last.const_data_ptr<int64_t>();
  const auto *scored = scores.const_data_ptr<float>(), *factor = beta.const_data_ptr<float>(),
             *highest = peak.const_data_ptr<float>();
  auto *part = parts.mutable_data_ptr<float>(), *total = totals.mutable_data_ptr<float>();
  seen.each(1, [&]<typename Number>(int64_t n, int64_t kv_head, const Number* values, const Number* next) {
    static thread_local std::vector<float> weights;
    weights.assign(group * size, 0.f);
    for (int64_t g = 0; g < group; ++g) {
      const int64_t row = owner[n] * heads + kv_head * group + g, at = n * heads + kv_head * group + g;
      const Vec times(factor[row]), most(highest[row]);
      float* weight = weights.data() + g * size;
      for (int64_t j = 0; j < size; j += Vec::size()) {
        ((Vec::loadu(scored + at * size + j) - most) * times).exp().store(weight + j);
      }
      std::fill(weight, weight + from[n], 0.f);
      std::fill(weight + to[n], weight + size, 0.f);
      Vec sum(0.f);
      for (int64_t j = 0; j < size; j += Vec::size()) {
        sum = sum + Vec::loadu(weight + j);
      }
      total[at] = at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return a + b; }, sum);
    }
    multiply(
        group, weights.data(), Matrix<Number>{values, next, size, dim}, part + (n * heads + kv_head * group) * dim);
  });

  const auto out = at::empty({n_rows, heads, dim}, scores.options());
  auto* attended = out.mutable_data_ptr<float>();
  at::parallel_for(0, n_rows * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(dim);
    for (int64_t task = begin; task < end; ++task) {
      std::fill(sum.begin(), sum.end(), 0.f);
      float weight = 0;
      for (int64_t n = 0; n < count; ++n) {
        if (owner[n] == task / heads) {
          const int64_t at = n * heads + task % heads;
          weight += total[at];
          for (int64_t d = 0; d < dim; ++d) {
            sum[d] += part[at * dim + d];
          }
        }
      }
      for (int64_t d = 0; d < dim; ++d) {
        attended[task * dim + d] = sum[d] / weight;
      }
    }
  });
  return out;
}

}  // namespace

TORCH_LIBRARY(sra_vllm, library) {
  library.def(
      "block_scores(Tensor query, Tensor cache, Tensor blocks, Tensor owners, Tensor first, Tensor last)"
      " -> (Tensor scores, Tensor sums)",
      &block_scores);
  library.def(
      "attend(Tensor scores, Tensor beta, Tensor peak, Tensor cache, Tensor blocks, Tensor owners, Tensor first,"
      " Tensor last) -> Tensor",
      &attend);
}
