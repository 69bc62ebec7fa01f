// Sums squared differences, one element type at a time; see value_deviation.h.
#include "value_deviation.h"

namespace blockstitch {

namespace {

template <typename Element>
double rowDeviation(const KvPool& pool, size_t layer, size_t page, size_t slot, const float* fresh) {
  const PoolShape& shape = pool.shape();
  double sum = 0;
  for (size_t head = 0; head < shape.kvHeads; head++) {
    const Element* cached = reinterpret_cast<const Element*>(pool.values(layer, page, head)) + slot * shape.headDim;
    const float scale = shape.dtype == KvDtype::kInt8 ? pool.valueScales(layer, page, head)[slot] : 1.0f;
    const float* row = fresh + head * shape.headDim;
    for (size_t d = 0; d < shape.headDim; d++) {
      const double difference = static_cast<double>(row[d]) - static_cast<double>(toFloat(cached[d]) * scale);
      sum += difference * difference;
    }
  }
  return sum;
}

template <typename Element>
void deviations(const KvPool& pool, size_t layer, const ComparedRows* places, size_t count, const float* values, double* sums) {
  const size_t width = pool.shape().kvHeads * pool.shape().headDim;
  for (size_t i = 0; i < count; i++) {
    const ComparedRows& place = places[i];
    sums[i] = 0;
    for (int32_t row = 0; row < place.count; row++, values += width) {
      if (place.page < 0) continue;
      sums[i] += rowDeviation<Element>(pool, layer, static_cast<size_t>(place.page),
                                       static_cast<size_t>(place.slot + row), values);
    }
  }
}

}  // namespace

void valueDeviations(const KvPool& pool, size_t layer, const ComparedRows* places, size_t count, const float* values,
                     double* sums) {
  switch (pool.shape().dtype) {
    case KvDtype::kFloat32: return deviations<float>(pool, layer, places, count, values, sums);
    case KvDtype::kFloat16: return deviations<Half>(pool, layer, places, count, values, sums);
    case KvDtype::kBfloat16: return deviations<Bfloat16>(pool, layer, places, count, values, sums);
    case KvDtype::kInt8: return deviations<int8_t>(pool, layer, places, count, values, sums);
  }
}

}  // namespace blockstitch
