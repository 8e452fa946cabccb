// A request inside the child, from the queue to its end: how many sequences it needs, what they hold, and the lanes that do its work.
import type { Ticket } from '../engine.js';
import type { Lane } from './lane.js';

export interface LoopRequest {
  readonly id: number;
  readonly ticket: Ticket;
  /** Sequences it runs at once. */
  readonly sequences: number;
  /** What the first sequence begins with: looked up in the prefix cache. */
  readonly prompt: Int32Array;
  /** Most tokens that each sequence may add. */
  readonly maxOutputTokens: number;
  readonly queuedAtMs: number;
  /** Makes the lanes; `kept` tokens of the prompt are in the first slot already. */
  readonly open: (slots: readonly number[], kept: number) => Lane[];
  /** Releases native memory. Called once, whatever the end. */
  readonly free: () => void;
}

/** A request that runs. */
export interface RunningRequest {
  readonly request: LoopRequest;
  readonly lanes: readonly Lane[];
  readonly queueWaitMs: number;
  readonly cachedTokens: number;
  /** Its lanes are not to be asked any more. */
  cancelled: boolean;
  /** What its sequences hold is not to be trusted. */
  broken: boolean;
}
