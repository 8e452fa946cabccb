// Who gets into the next batch: every running answer its token, then prompts in their order of arrival, within a budget. Pure.
import type { BatchPart } from './decoder.js';
import type { Lane, Want } from './lane.js';

export interface PlannedPart extends BatchPart {
  readonly lane: Lane;
  readonly tokens: Int32Array;
}

export interface StepLimits {
  readonly batchSize: number;
  readonly maxRows: number;
  /** Tokens of prompts and scored texts in a batch that also carries answers: what keeps their pace. */
  readonly prefillTokens: number;
}

/** `lanes` in order of arrival. Never more than `batchSize` tokens or `maxRows` wanted positions. */
export function planStep(lanes: readonly Lane[], { batchSize, maxRows, prefillTokens }: StepLimits): PlannedPart[] {
  const parts: PlannedPart[] = [];
  let room = batchSize;
  let rows = maxRows;
  const add = (lane: Lane, want: Want | null): void => {
    if (!want) return;
    parts.push({ lane, slot: lane.slot, position: want.position, tokens: want.tokens, wanted: want.rows });
    room -= want.tokens.length;
    rows -= want.rows === 'all' ? want.tokens.length : want.rows === 'last' ? 1 : 0;
  };
  for (const lane of lanes) if (lane.urgent) add(lane, lane.want(room, rows));
  if (parts.length > 0) room = Math.min(room, prefillTokens);
  for (const lane of lanes) {
    if (room <= 0) break;
    if (!lane.urgent) add(lane, lane.want(room, rows));
  }
  // The library puts neighbours into one pass only in ascending order, where each sequence has a cache of its own.
  return parts.sort((a, b) => a.slot - b.slot);
}
