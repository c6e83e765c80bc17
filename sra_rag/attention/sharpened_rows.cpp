// Sharpened attention of many query rows in one pass: the scores of a few rows over all their keys stay in the cache of
// the processor. The entropies of the rows are computed from them, and so are the weights softmax(beta * scores).
// Scores are computed once, so a sharpened row costs about as much as an ordinary one.
//
// Matrices are multiplied with `brgemm`, PyTorch's interface to oneDNN, in float32. Its blocks have the same shape in
// every call, because oneDNN compiles a kernel for each shape.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace {

namespace blas = at::native::cpublas;
using Vec = at::vec::Vectorized<float>;

constexpr int64_t kKeys = 64;  // keys in a block
constexpr int64_t kRows = 48;  // rows multiplied at once: the positions of a tile times the query heads of a key head
constexpr float kHidden = -1e30f;  // used instead of -inf, because 0 * -inf is NaN

float largest(Vec numbers) {
  return at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return at::vec::maximum(a, b); }, numbers);
}

float total(Vec numbers) {
  return at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return a + b; }, numbers);
}

// Keys and values of a sequence as blocks, in float32 and in the layout that `brgemm` takes: (D, keys) and (keys, D).
// Keys that fill up the last block are zeros.
struct Blocks {
  int64_t heads, count, dim, size;  // the size is that of the keys of a head, and of its values
  std::vector<float> keys, values;

  explicit Blocks(const at::Tensor& key)
      : heads(key.size(1)), count(key.size(2)), dim(key.size(3)),
        size((count + kKeys - 1) / kKeys * kKeys * dim), keys(heads * size), values(heads * size) {}

  const float* keys_of(int64_t head, int64_t block) const {
    return keys.data() + head * size + block * kKeys * dim;
  }

  const float* values_of(int64_t head, int64_t block) const {
    return values.data() + head * size + block * kKeys * dim;
  }

  template <typename Number>
  void set(const at::Tensor& key, const at::Tensor& value, int64_t batch) {
    const auto *all_keys = key.const_data_ptr<Number>() + batch * key.stride(0),
               *all_values = value.const_data_ptr<Number>() + batch * value.stride(0);
    at::parallel_for(0, heads * count, kKeys, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t head = task / count, j = task % count;
        const auto *from_key = all_keys + head * key.stride(1) + j * key.stride(2),
                   *from_value = all_values + head * value.stride(1) + j * value.stride(2);
        float *to_key = keys.data() + head * size + j / kKeys * kKeys * dim + j % kKeys,
              *to_value = values.data() + head * size + j * dim;
        for (int64_t d = 0; d < dim; ++d) {
          to_key[d * kKeys] = from_key[d];
          to_value[d] = from_value[d];
        }
      }
    });
  }
};

// The running maximum m of the scores of a row, sum exp(score - m), and sum exp(score - m) * (score - m).
struct Sums {
  float peak = kHidden, weight = 0, weighted = 0;

  // Whether no key has been visible.
  bool blind() const { return peak <= kHidden / 2; }

  // H = log sum exp(s) - sum a s
  float entropy() const { return blind() ? 0.f : std::max(0.f, std::log(weight) - weighted / weight); }

  // Add the scores of a block.
  void add(const float* scores) {
    Vec peaks = Vec::loadu(scores);
    for (int64_t j = Vec::size(); j < kKeys; j += Vec::size()) {
      peaks = at::vec::maximum(peaks, Vec::loadu(scores + j));
    }
    if (const float next = largest(peaks); next > peak) {
      const float shift = peak - next, factor = std::exp(shift);
      weighted = factor * (weighted + shift * weight);
      weight *= factor;
      peak = next;
    }
    const Vec most(peak);
    Vec sum(0.f), product(0.f);
    for (int64_t j = 0; j < kKeys; j += Vec::size()) {
      const Vec shifted = Vec::loadu(scores + j) - most, exponential = shifted.exp_u20();
      sum = sum + exponential;
      product = at::vec::fmadd(exponential, shifted, product);
    }
    weight += total(sum);
    weighted += total(product);
  }
};

// Arguments and results of `sharpened_rows`, and the head that is computed.
struct Call {
  const at::Tensor &query, &base, &slope;
  const int64_t *first, *last;
  const float* hidden;  // of the sequence; or null
  float scale;
  at::Tensor &output, &lse, &beta;
  int64_t batch, kv_head, group;

  int64_t head(int64_t r) const { return kv_head * group + r % group; }

  // Place of a row in base, slope, lse and beta.
  int64_t place(int64_t r, int64_t position) const {
    return (batch * query.size(1) + head(r)) * query.size(2) + position;
  }

  int64_t offset(const at::Tensor& tensor, int64_t r, int64_t position) const {
    return batch * tensor.stride(0) + head(r) * tensor.stride(1) + position * tensor.stride(2);
  }
};

// Scale the scores of a row over a block, and hide the keys that it does not see.
void finish_scores(const Call& call, int64_t position, int64_t block, float* scores) {
  const Vec scale(call.scale);
  for (int64_t j = 0; j < kKeys; j += Vec::size()) {
    Vec score = Vec::loadu(scores + j) * scale;
    if (call.hidden != nullptr) {
      score = score + Vec::loadu(call.hidden + block * kKeys + j);
    }
    score.store(scores + j);
  }
  const int64_t begin = std::clamp<int64_t>(call.first[position] - block * kKeys, 0, kKeys),
                end = std::clamp<int64_t>(call.last[position] - block * kKeys, begin, kKeys);
  std::fill(scores, scores + begin, kHidden);
  std::fill(scores + end, scores + kKeys, kHidden);
}

// weights[j] = exp(beta * (scores[j] - peak)); returns their sum.
float sharpen(const float* scores, float peak, float beta, float* weights) {
  const Vec most(peak), times(beta);
  Vec sum(0.f);
  for (int64_t j = 0; j < kKeys; j += Vec::size()) {
    const Vec weight = ((Vec::loadu(scores + j) - most) * times).exp_u20();
    weight.store(weights + j);
    sum = sum + weight;
  }
  return total(sum);
}

// Compute the rows at positions top..bottom of the query heads that share a key head.
template <typename Number>
void serve_tile(const Call& call, const Blocks& blocks, int64_t top, int64_t bottom) {
  const int64_t dim = blocks.dim, rows = (bottom - top) * call.group;
  const int64_t from = call.first[top] / kKeys, to = (call.last[bottom - 1] + kKeys - 1) / kKeys;
  static thread_local std::vector<float> queries, scores, weights, attended;
  queries.assign(kRows * dim, 0.f);
  scores.resize(std::max<int64_t>(to - from, 0) * kRows * kKeys);
  weights.assign(kRows * kKeys, 0.f);
  attended.assign(kRows * dim, 0.f);
  for (int64_t r = 0; r < rows; ++r) {
    const auto* query = call.query.const_data_ptr<Number>() + call.offset(call.query, r, top + r / call.group);
    std::copy(query, query + dim, queries.begin() + r * dim);
  }

  Sums sums[kRows];
  for (int64_t block = from; block < to; ++block) {
    float* tile = scores.data() + (block - from) * kRows * kKeys;
    const float* keys = blocks.keys_of(call.kv_head, block);
    blas::brgemm(kRows, kKeys, dim, dim, kKeys, kKeys, false, queries.data(), keys, tile);
    for (int64_t r = 0; r < rows; ++r) {
      finish_scores(call, top + r / call.group, block, tile + r * kKeys);
      sums[r].add(tile + r * kKeys);
    }
  }

  float beta[kRows], weight[kRows] = {};
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t place = call.place(r, top + r / call.group);
    beta[r] = call.base.const_data_ptr<float>()[place] + call.slope.const_data_ptr<float>()[place] * sums[r].entropy();
  }
  for (int64_t block = from; block < to; ++block) {
    const float* tile = scores.data() + (block - from) * kRows * kKeys;
    for (int64_t r = 0; r < rows; ++r) {
      weight[r] += sharpen(tile + r * kKeys, sums[r].peak, beta[r], weights.data() + r * kKeys);
    }
    const float* values = blocks.values_of(call.kv_head, block);
    blas::brgemm(kRows, dim, kKeys, kKeys, dim, dim, block > from, weights.data(), values, attended.data());
  }

  for (int64_t r = 0; r < rows; ++r) {
    const int64_t position = top + r / call.group, place = call.place(r, position);
    const bool blind = sums[r].blind();
    auto* out = call.output.mutable_data_ptr<Number>() + call.offset(call.output, r, position);
    for (int64_t d = 0; d < dim; ++d) {
      out[d] = static_cast<Number>(blind ? 0.f : attended[r * dim + d] / weight[r]);
    }
    call.beta.mutable_data_ptr<float>()[place] = beta[r];
    call.lse.mutable_data_ptr<float>()[place] =
        blind ? -std::numeric_limits<float>::infinity() : beta[r] * sums[r].peak + std::log(weight[r]);
  }
}

template <typename Number>
void serve_all(Call call, const at::Tensor& key, const at::Tensor& value, const std::optional<at::Tensor>& hidden) {
  const int64_t rows = call.query.size(2), step = kRows / call.group, tiles = (rows + step - 1) / step;
  Blocks blocks(key);
  for (call.batch = 0; call.batch < key.size(0); ++call.batch) {
    call.hidden = hidden ? hidden->const_data_ptr<float>() + call.batch * hidden->stride(0) : nullptr;
    blocks.set<Number>(key, value, call.batch);
    at::parallel_for(0, tiles * blocks.heads, 1, [&](int64_t begin, int64_t end) {
      Call own = call;
      for (int64_t task = begin; task < end; ++task) {
        own.kv_head = task / tiles;
        // Later rows have more keys: early and late tiles alternate, so that each thread gets as much of both.
        const int64_t place = task % tiles, tile = place % 2 == 0 ? place / 2 : tiles - 1 - place / 2;
        serve_tile<Number>(own, blocks, tile * step, std::min(rows, (tile + 1) * step));
      }
      blas::brgemm_release(false);
    });
  }
}

// Arguments: query (B, H_q, Q, D); key and value (B, H_kv, K, D); of one dtype, float32, bfloat16 or float16. first and
// last (Q,), int64: the range of the keys that a row may see, both ascending; the end is exclusive. hidden (B, K
// rounded up to whole blocks), float32: 0, or kHidden for padding. base and slope (B, H_q, Q), float32: scores are
// multiplied by beta = base + slope * entropy (nats), which must be greater than 0.
// Returns the output (B, H_q, Q, D); and, float32 (B, H_q, Q), the log-sum-exp of the sharpened scores, and beta. A row
// that sees no key has the output 0 and the log-sum-exp -inf.
std::tuple<at::Tensor, at::Tensor, at::Tensor> sharpened_rows(
    const at::Tensor& query,
    const at::Tensor& key,
    const at::Tensor& value,
    double scale,
    const at::Tensor& first,
    const at::Tensor& last,
    const std::optional<at::Tensor>& hidden,
    const at::Tensor& base,
    const at::Tensor& slope) {
  const int64_t group = query.size(1) / key.size(1);
  TORCH_CHECK(group * key.size(1) == query.size(1) && group <= kRows, "at most ", kRows, " query heads for a key head");
  TORCH_CHECK(query.stride(3) == 1 && key.stride(3) == 1 && value.stride(3) == 1, "rows must be contiguous");
  TORCH_CHECK(base.is_contiguous() && slope.is_contiguous(), "base and slope must be contiguous");
  auto output = at::empty(query.sizes(), query.options());
  auto lse = at::empty(base.sizes(), base.options()), beta = at::empty(base.sizes(), base.options());
  const Call call{query, base, slope, first.const_data_ptr<int64_t>(), last.const_data_ptr<int64_t>(), nullptr,
                  static_cast<float>(scale), output, lse, beta, 0, 0, group};
  if (query.scalar_type() == at::kFloat) {
    serve_all<float>(call, key, value, hidden);
  } else if (query.scalar_type() == at::kBFloat16) {
    serve_all<at::BFloat16>(call, key, value, hidden);
  } else {
    serve_all<at::Half>(call, key, value, hidden);
  }
  return {output, lse, beta};
}

// Whether the processor has matrix instructions for bfloat16, which PyTorch's kernel uses.
bool multiplies_bfloat16() {
  return blas::could_pack(at::kBFloat16);
}

}  // namespace

TORCH_LIBRARY(sra_attention, library) {
  library.def(
      "sharpened_rows(Tensor query, Tensor key, Tensor value, float scale, Tensor first, Tensor last, Tensor? hidden,"
      " Tensor base, Tensor slope) -> (Tensor output, Tensor lse, Tensor beta)",
      &sharpened_rows);
  library.def("multiplies_bfloat16() -> bool", &multiplies_bfloat16);
}
