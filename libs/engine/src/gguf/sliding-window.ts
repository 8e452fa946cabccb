// Which layers look back only a window of positions: they need fewer cells of the cache, when the engine saves them. Pure.
import type { Metadata } from './metadata.js';

export interface SlidingWindow {
  readonly positions: number;
  /** True for each layer that sees no further back than the window. */
  readonly layers: readonly boolean[];
}

/**
 * Architectures whose period is not in every file: one layer of so many sees everything, the last of each period unless `denseFirst`. From
 * llama.cpp's own defaults. Others with a window in the file (Mistral, Phi-3) are run without one.
 */
const periods: Readonly<Record<string, { readonly every: number; readonly denseFirst?: boolean }>> = {
  cohere2: { every: 4 },
  exaone4: { every: 4 },
  gemma2: { every: 2 },
  gemma3: { every: 6 },
  gemma3n: { every: 5 },
  'gpt-oss': { every: 2 },
  olmo2: { every: 4 },
  smallthinker: { every: 4, denseFirst: true },
};

/** Null for a model whose layers all see everything, or of which that is not known. */
export function slidingWindowOf(metadata: Metadata, architecture: string, blockCount: number): SlidingWindow | null {
  const positions = metadata.number(`${architecture}.attention.sliding_window`);
  const known = periods[architecture];
  if (positions === null || positions < 1 || !known) return null;
  const key = `${architecture}.attention.sliding_window_pattern`;
  const listed = metadata.array(key)?.numbers;
  if (listed?.length === blockCount) return { positions, layers: listed.map((value) => value !== 0) };
  const every = metadata.number(key) ?? known.every;
  const full = known.denseFirst ? 0 : every - 1;
  return { positions, layers: Array.from({ length: blockCount }, (_, layer) => every < 1 || layer % every !== full) };
}
