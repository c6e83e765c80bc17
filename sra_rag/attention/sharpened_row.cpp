// Sharpened attention of one query row for each sequence, as when a token is decoded: keys and values are read once for
// all query heads that share them. The scores of the row are stored; its entropy is computed from them, and so are the
// weights softmax(beta * scores).
//
// A chunk of keys of one key head is a task, so that several threads share a long sequence. Nothing depends on their
// number.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace {

using Vec = at::vec::Vectorized<float>;

constexpr int64_t kKeys = 64;  // keys whose values stay in the first cache
constexpr int64_t kChunk = 4 * kKeys;  // keys of a task
constexpr int64_t kDims = 32;  // numbers of a value that are summed at once; the head size is a multiple of it
constexpr float kHidden = -1e30f;  // the score of a place after the last key

float total(Vec numbers) {
  return at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return a + b; }, numbers);
}

float largest(Vec numbers) {
  return at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return at::vec::maximum(a, b); }, numbers);
}

// The maximum m of scores, sum exp(score - m), and sum exp(score - m) * (score - m).
struct Sums {
  float peak = kHidden, weight = 0, weighted = 0;

  // H = log sum exp(s) - sum a s
  float entropy() const { return std::max(0.f, std::log(weight) - weighted / weight); }

  void add(const Sums& other) {
    const float next = std::max(peak, other.peak);
    float sum = 0, product = 0;
    for (const Sums* part : {static_cast<const Sums*>(this), &other}) {
      if (part->weight > 0) {
        const float shift = part->peak - next, factor = std::exp(shift);
        sum += factor * part->weight;
        product += factor * (part->weighted + shift * part->weight);
      }
    }
    *this = {next, sum, product};
  }

  static Sums of(const float* scores, int64_t count) {
    Vec peaks = Vec::loadu(scores);
    for (int64_t j = Vec::size(); j < count; j += Vec::size()) {
      peaks = at::vec::maximum(peaks, Vec::loadu(scores + j));
    }
    Sums sums{largest(peaks)};
    const Vec most(sums.peak);
    Vec sum(0.f), product(0.f);
    for (int64_t j = 0; j < count; j += Vec::size()) {
      const Vec shifted = Vec::loadu(scores + j) - most, exponential = shifted.exp_u20();
      sum = sum + exponential;
      product = at::vec::fmadd(exponential, shifted, product);
    }
    sums.weight = total(sum);
    sums.weighted = total(product);
    return sums;
  }
};

// Return numbers of a row in float32: the row itself, or a copy.
const float* widened(const float* row, int64_t, float*) {
  return row;
}

template <typename Number>
const float* widened(const Number* row, int64_t count, float* copy) {
  at::vec::convert(row, copy, count);
  return copy;
}

float dot(const float* one, const float* other, int64_t dim) {
  std::array<Vec, 2> sums{Vec(0.f), Vec(0.f)};
  for (int64_t d = 0; d < dim; d += 2 * Vec::size()) {
    for (int64_t i = 0; i < 2; ++i) {
      const int64_t at = d + i * Vec::size();
      sums[i] = at::vec::fmadd(Vec::loadu(one + at), Vec::loadu(other + at), sums[i]);
    }
  }
  return total(sums[0] + sums[1]);
}

// sums[d] += sum_j weights[j] * values[j][d]
void add_weighted(const float* weights, const float* values, int64_t count, int64_t dim, float* sums) {
  constexpr int64_t kVecs = kDims / Vec::size();
  for (int64_t d = 0; d < dim; d += kDims) {
    std::array<Vec, kVecs> parts;
    for (int64_t i = 0; i < kVecs; ++i) {
      parts[i] = Vec::loadu(sums + d + i * Vec::size());
    }
    for (int64_t j = 0; j < count; ++j) {
      const Vec weight(weights[j]);
      for (int64_t i = 0; i < kVecs; ++i) {
        parts[i] = at::vec::fmadd(weight, Vec::loadu(values + j * dim + d + i * Vec::size()), parts[i]);
      }
    }
    for (int64_t i = 0; i < kVecs; ++i) {
      parts[i].store(sums + d + i * Vec::size());
    }
  }
}

struct Call {
  const at::Tensor &query, &key, &value;
  float scale;
  int64_t kv_heads, group, dim, n_keys, padded, chunks;  // padded: the number of keys, up to whole blocks
  std::vector<float> scores, sums_of_values, weights_of_chunks, beta;
  std::vector<Sums> sums;

  Call(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double factor)
      : query(q), key(k), value(v), scale(static_cast<float>(factor)), kv_heads(k.size(1)),
        group(q.size(1) / k.size(1)), dim(k.size(3)), n_keys(k.size(2)),
        padded((n_keys + kKeys - 1) / kKeys * kKeys), chunks((n_keys + kChunk - 1) / kChunk) {
    const int64_t heads = q.size(0) * q.size(1);
    scores.resize(heads * padded);
    sums_of_values.resize(heads * chunks * dim);
    weights_of_chunks.resize(heads * chunks);
    beta.resize(heads);
    sums.resize(heads * chunks);
  }

  int64_t end_of(int64_t chunk) const { return std::min(n_keys, (chunk + 1) * kChunk); }

  template <typename Number>
  const Number* row(const at::Tensor& tensor, int64_t pair, int64_t j) const {
    return tensor.const_data_ptr<Number>() + pair / kv_heads * tensor.stride(0) +
           pair % kv_heads * tensor.stride(1) + j * tensor.stride(2);
  }
};

// The scores of a chunk for the query heads of a key head; `pair` counts the key heads of all sequences.
template <typename Number>
void score_chunk(Call& call, int64_t pair, int64_t chunk) {
  static thread_local std::vector<float> queries, copy;
  queries.resize(call.group * call.dim);
  copy.resize(call.dim);
  for (int64_t r = 0; r < call.group; ++r) {
    const auto* query = call.query.const_data_ptr<Number>() + pair / call.kv_heads * call.query.stride(0) +
                        (pair % call.kv_heads * call.group + r) * call.query.stride(1);
    std::copy(query, query + call.dim, queries.begin() + r * call.dim);
  }
  const int64_t begin = chunk * kChunk, end = call.end_of(chunk), full = (end + kKeys - 1) / kKeys * kKeys;
  float* scores = call.scores.data() + pair * call.group * call.padded;
  for (int64_t j = begin; j < end; ++j) {
    const float* key = widened(call.row<Number>(call.key, pair, j), call.dim, copy.data());
    for (int64_t r = 0; r < call.group; ++r) {
      scores[r * call.padded + j] = call.scale * dot(queries.data() + r * call.dim, key, call.dim);
    }
  }
  for (int64_t r = 0; r < call.group; ++r) {
    float* own = scores + r * call.padded;
    std::fill(own + end, own + full, kHidden);
    call.sums[(pair * call.group + r) * call.chunks + chunk] = Sums::of(own + begin, full - begin);
  }
}

// Weights of a block of a head, in the place of its scores; returns their sum.
float sharpen(float* scores, float peak, float beta) {
  const Vec most(peak), times(beta);
  Vec sum(0.f);
  for (int64_t j = 0; j < kKeys; j += Vec::size()) {
    const Vec weight = ((Vec::loadu(scores + j) - most) * times).exp_u20();
    weight.store(scores + j);
    sum = sum + weight;
  }
  return total(sum);
}

// Multiply the weights of the keys begin..end of a head by a factor; returns how much their sum grows.
float multiply(float* weights, int64_t begin, int64_t end, float factor) {
  float more = 0;
  for (int64_t j = begin; j < end; ++j) {
    more += weights[j] * (factor - 1);
    weights[j] *= factor;
  }
  return more;
}

template <typename Number>
void weigh_chunk(
    Call& call, int64_t pair, int64_t chunk, const std::optional<at::Tensor>& spans,
    const std::optional<at::Tensor>& factors) {
  static thread_local std::vector<float> copy;
  copy.resize(kKeys * call.dim);
  for (int64_t begin = chunk * kChunk; begin < call.end_of(chunk); begin += kKeys) {
    const int64_t end = std::min(call.n_keys, begin + kKeys);
    // Rows of values that are not side by side, or not in float32, are copied.
    const float* values = nullptr;
    if (std::is_same_v<Number, float> && call.value.stride(2) == call.dim) {
      values = widened(call.row<Number>(call.value, pair, begin), call.dim, nullptr);
    } else {
      for (int64_t j = begin; j < end; ++j) {
        const auto* row = call.row<Number>(call.value, pair, j);
        std::copy(row, row + call.dim, copy.begin() + (j - begin) * call.dim);
      }
      values = copy.data();
    }
    for (int64_t r = 0; r < call.group; ++r) {
      const int64_t head = pair * call.group + r, place = head * call.chunks + chunk;
      float* weights = call.scores.data() + head * call.padded;
      call.weights_of_chunks[place] += sharpen(weights + begin, call.sums[head * call.chunks].peak, call.beta[head]);
      for (int64_t s = 0; spans && s < spans->size(0); ++s) {
        const auto* edges = spans->const_data_ptr<int64_t>() + 2 * s;
        const float factor = factors->const_data_ptr<float>()[s * factors->size(1) + head];
        call.weights_of_chunks[place] +=
            multiply(weights, std::max(begin, edges[0]), std::min(end, edges[1]), factor);
      }
      add_weighted(weights + begin, values, end - begin, call.dim, call.sums_of_values.data() + place * call.dim);
    }
  }
}

template <typename Number>
void serve(
    Call& call, const at::Tensor& base, const at::Tensor& slope, float low, float high,
    const std::optional<at::Tensor>& spans, const std::optional<at::Tensor>& factors, at::Tensor& output) {
  const int64_t pairs = call.key.size(0) * call.kv_heads, heads = pairs * call.group;
  const auto over_chunks = [&](const auto& work) {
    at::parallel_for(0, pairs * call.chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        work(task / call.chunks, task % call.chunks);
      }
    });
  };
  over_chunks([&](int64_t pair, int64_t chunk) { score_chunk<Number>(call, pair, chunk); });
  for (int64_t head = 0; head < heads; ++head) {
    Sums& all = call.sums[head * call.chunks];
    for (int64_t chunk = 1; chunk < call.chunks; ++chunk) {
      all.add(call.sums[head * call.chunks + chunk]);
    }
    const int64_t own = head % base.size(0);
    call.beta[head] = base.const_data_ptr<float>()[own] +
                      slope.const_data_ptr<float>()[own] * (all.entropy() - low) / (high - low);
  }
  over_chunks([&](int64_t pair, int64_t chunk) { weigh_chunk<Number>(call, pair, chunk, spans, factors); });
  for (int64_t head = 0; head < heads; ++head) {
    float* sums = call.sums_of_values.data() + head * call.chunks * call.dim;
    float weight = call.weights_of_chunks[head * call.chunks];
    for (int64_t chunk = 1; chunk < call.chunks; ++chunk) {
      weight += call.weights_of_chunks[head * call.chunks + chunk];
      for (int64_t d = 0; d < call.dim; ++d) {
        sums[d] += sums[chunk * call.dim + d];
      }
    }
    auto* out = output.mutable_data_ptr<Number>() + head * call.dim;
    for (int64_t d = 0; d < call.dim; ++d) {
      out[d] = static_cast<Number>(sums[d] / weight);
    }
  }
}

// Arguments: query (B, H_q, 1, D); key and value (B, H_kv, K, D), all of which the row sees; of one dtype, float32,
// bfloat16 or float16. base and slope (H_q,), float32: scores are multiplied by
// beta = base + slope * (entropy - low) / (high - low), which must be greater than 0. spans (S, 2), int64, and factors
// (S, H_q), float32: the weights of the keys from the first number of a span to before the second are multiplied by the
// factor of the head; for one sequence. Returns the output (B, H_q, 1, D).
at::Tensor sharpened_row(
    const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, double scale, const at::Tensor& base,
    const at::Tensor& slope, double low, double high, const std::optional<at::Tensor>& spans,
    const std::optional<at::Tensor>& factors) {
  TORCH_CHECK(query.size(2) == 1 && query.size(1) % key.size(1) == 0, "one row, and whole groups of query heads");
  TORCH_CHECK(key.size(3) % kDims == 0 && value.sizes() == key.sizes(), "the head size must be a multiple of ", kDims);
  TORCH_CHECK(query.stride(3) == 1 && key.stride(3) == 1 && value.stride(3) == 1, "rows must be contiguous");
  TORCH_CHECK(base.is_contiguous() && slope.is_contiguous(), "base and slope must be contiguous");
  TORCH_CHECK(!spans || (key.size(0) == 1 && spans->is_contiguous() && factors->is_contiguous()), "one sequence");
  auto output = at::empty(query.sizes(), query.options().memory_format(at::MemoryFormat::Contiguous));
  Call call(query, key, value, scale);
  const auto l = static_cast<float>(low), h = static_cast<float>(high);
  if (query.scalar_type() == at::kFloat) {
    serve<float>(call, base, slope, l, h, spans, factors, output);
  } else if (query.scalar_type() == at::kBFloat16) {
    serve<at::BFloat16>(call, base, slope, l, h, spans, factors, output);
  } else {
    serve<at::Half>(call, base, slope, l, h, spans, factors, output);
  }
  return output;
}

}  // namespace

TORCH_LIBRARY(sra_attention_row, library) {
  library.def(
      "sharpened_row(Tensor query, Tensor key, Tensor value, float scale, Tensor base, Tensor slope, float low,"
      " float high, Tensor? spans, Tensor? factors) -> Tensor",
      &sharpened_row);
}
