// What the gateway and an engine child say to one another over the IPC channel.
import type { ChatMessage, EngineFaultCode, Sampling } from '../engine.js';

export interface LoadRequest {
  readonly type: 'load';
  readonly file: string;
  readonly contextSize: number;
  readonly gpuLayers: number;
  readonly parallel: number;
  readonly threads: number;
  readonly maxQueued: number;
}

export type ToChild =
  | LoadRequest
  | { readonly type: 'generate'; readonly id: number; readonly messages: readonly ChatMessage[]; readonly sampling: Sampling }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'ping' };

/** [request id, text, entropy in nats, NLL in nats]; one message carries a whole step of all sequences. */
export type TokenTuple = readonly [number, string, number, number];

export type FromChild =
  | { readonly type: 'loaded'; readonly contextSize: number }
  | { readonly type: 'loadFailed'; readonly message: string }
  | { readonly type: 'tokens'; readonly tokens: readonly TokenTuple[] }
  | {
      readonly type: 'end';
      readonly id: number;
      readonly finishReason: 'stop' | 'length';
      readonly inputTokens: number;
      readonly outputTokens: number;
      readonly queueWaitMs: number;
    }
  | { readonly type: 'failed'; readonly id: number; readonly code: EngineFaultCode; readonly message: string }
  | { readonly type: 'pong'; readonly rssBytes: number; readonly running: number; readonly queued: number };
