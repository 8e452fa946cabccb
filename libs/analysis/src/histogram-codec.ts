// Histograms as bytes for storage: version, then per metric its number, bucket count and delta-coded varints. About 2 bytes a bucket.
import { emptyHistograms } from './sketch.js';
import type { Histogram, WindowMetric } from './window.js';

const formatVersion = 1;
/** Order is the format: append only. */
const metrics: readonly WindowMetric[] = ['entropy', 'length', 'ttft', 'interToken', 'total', 'input', 'cost', 'quality', 'nll'];
const maxBuckets = 100_000;

export class HistogramFormatError extends Error {
  override readonly name = 'HistogramFormatError';
}

/** Serialises the histograms of a window. Counts must be non-negative safe integers. */
export function encodeHistograms(histograms: Record<WindowMetric, Histogram>): Uint8Array {
  return encodeNamed(metrics, histograms);
}

/** Inverse of `encodeHistograms`. Throws HistogramFormatError for anything it did not write: a corrupt row must not become evidence. */
export function decodeHistograms(bytes: Uint8Array): Record<WindowMetric, Histogram> {
  return decodeNamed(metrics, bytes, emptyHistograms());
}

/** `names`: their order is the format. */
export function encodeNamed<Name extends string>(names: readonly Name[], histograms: Record<Name, Histogram>): Uint8Array {
  const bytes: number[] = [formatVersion];
  names.forEach((metric, number) => {
    const histogram = histograms[metric];
    if (histogram.size === 0) return;
    bytes.push(number);
    pushVarint(bytes, histogram.size);
    let previous = 0;
    for (const index of [...histogram.keys()].sort((a, b) => a - b)) {
      pushVarint(bytes, zigzag(index - previous));
      pushVarint(bytes, histogram.get(index) ?? 0);
      previous = index;
    }
  });
  return Uint8Array.from(bytes);
}

/** Inverse of `encodeNamed`: fills `histograms`, which are empty. */
export function decodeNamed<Name extends string>(
  names: readonly Name[],
  bytes: Uint8Array,
  histograms: Record<Name, Histogram>,
): Record<Name, Histogram> {
  if (bytes[0] !== formatVersion) throw new HistogramFormatError(`unknown histogram format ${bytes[0] ?? 'of no bytes'}`);
  const reader = { bytes, at: 1 };
  let lastNumber = -1;
  while (reader.at < bytes.length) {
    const number = bytes[reader.at++] ?? -1;
    const metric = names[number];
    if (!metric || number <= lastNumber) throw new HistogramFormatError(`unexpected metric ${number} at byte ${reader.at - 1}`);
    lastNumber = number;
    const size = readVarint(reader);
    if (size < 1 || size > maxBuckets) throw new HistogramFormatError(`${size} buckets in one histogram`);
    let index = 0;
    for (let bucket = 0; bucket < size; bucket += 1) {
      const distance = unzigzag(readVarint(reader));
      if (bucket > 0 && distance < 1) throw new HistogramFormatError(`bucket ${index + distance} follows bucket ${index}`);
      index += distance;
      histograms[metric].set(index, readVarint(reader));
    }
  }
  return histograms;
}

function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

function readVarint(reader: { bytes: Uint8Array; at: number }): number {
  let value = 0;
  let factor = 1;
  for (;;) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined) throw new HistogramFormatError('histogram bytes end in the middle of a number');
    value += (byte & 0x7f) * factor;
    if (value > Number.MAX_SAFE_INTEGER) throw new HistogramFormatError('number too large in histogram bytes');
    if (byte === 0 && factor > 1) throw new HistogramFormatError('a number in histogram bytes has a needless byte');
    if (byte < 0x80) return value;
    factor *= 0x80;
    if (factor > Number.MAX_SAFE_INTEGER) throw new HistogramFormatError('number too large in histogram bytes');
  }
}
