// exp of vectors of floats, written once over a vector type (see vec_portable.h).
#pragma once

namespace blockstitch {

/// e^x for x <= 0, with a relative error of about 2e-7: 2^n * p(r) with x = n ln 2 + r and |r| <= ln 2 / 2. p is the
/// polynomial of degree 5 that begins with 1 + r and has the least largest relative error there (1.1e-7).
/// Below -87 the result is at most 2^-125, so masked scores (-FLT_MAX) count for nothing beside a weight of 1.
template <typename Vec>
Vec exponential(Vec x) {
  x = Vec::max(x, Vec::broadcast(-87.3f));
  const Vec n = Vec::round(x * Vec::broadcast(1.44269504f));
  Vec r = Vec::multiplyAdd(n, Vec::broadcast(-0.693359375f), x);
  r = Vec::multiplyAdd(n, Vec::broadcast(2.12194440e-4f), r);
  Vec p = Vec::broadcast(8.312525228e-3f);
  p = Vec::multiplyAdd(p, r, Vec::broadcast(4.189011455e-2f));
  p = Vec::multiplyAdd(p, r, Vec::broadcast(1.666711420e-1f));
  p = Vec::multiplyAdd(p, r, Vec::broadcast(4.999923110e-1f));
  p = Vec::multiplyAdd(p, r * r, r + Vec::broadcast(1.0f));
  return p * Vec::powerOfTwo(n);
}

}  // namespace blockstitch
