// figures.mjs - the arithmetic that all the benchmarks share.

export function quantile(values, of) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(of * sorted.length))];
}

export const median = (values) => quantile(values, 0.5);

// User `number` of a sample of `of`: bench_sample() of src/bench/generate.c.
export function sampleUser(number, of, users) {
  const rank = (BigInt(number) * BigInt(users)) / BigInt(of);
  return Number((rank * 2654435761n) % BigInt(users));
}

export function seconds(ms) {
  if (ms < 0.1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
