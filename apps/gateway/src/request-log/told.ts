// What the request log says of a request: who asked which version, how it ended, how long it took. Never a key, never a header, no text unless it is wished.
import type { ComparedArm } from '#libs/base';
import type { Ending } from '../observe/end-state.js';

/** What a generating request adds to its ending. */
export interface Answered {
  readonly model: string;
  readonly key: { readonly id: string; readonly name: string };
  readonly rolloutId: string | null;
  readonly arm: ComparedArm | null;
  readonly pinned: boolean;
  readonly priority: string;
  readonly promptClass: string;
  readonly stream: boolean;
  /** Versions asked: 0 for an answer that was kept, 2 when the first one failed before its first byte. */
  readonly tries: number;
  /** Of the engine's fault, if it failed. */
  readonly code: string | null;
  readonly ttftMs: number | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly finishReason: string | null;
  readonly requestBody: Buffer;
  /** The beginning of the answer as it was sent; null: not kept. */
  readonly answer: Buffer | null;
}

export interface Ended {
  /** When it began, milliseconds since the Unix epoch. */
  readonly at: number;
  readonly totalMs: number;
  readonly requestId: string;
  readonly path: string;
  readonly ending: Ending;
  /** Null: nothing was sent. */
  readonly status: number | null;
}

const longestPath = 200;

/** One line of JSON with its end. `bodyBytes`: of request and answer each; null leaves them out. Control characters are escaped by JSON. */
export function lineOf({ at, totalMs, requestId, path, ending, status }: Ended, bodyBytes: number | null): string {
  const { state, version, answered } = ending;
  const line = {
    at: new Date(at).toISOString(),
    requestId,
    path: path.slice(0, longestPath),
    state,
    status,
    code: answered?.code ?? ending.code ?? null,
    model: answered?.model ?? version?.model ?? null,
    version: version?.label ?? null,
    rollout: answered?.rolloutId ?? null,
    arm: answered?.arm ?? null,
    pinned: answered?.pinned ?? false,
    priority: answered?.priority ?? null,
    promptClass: answered?.promptClass ?? null,
    keyId: answered?.key.id ?? null,
    keyName: answered?.key.name ?? null,
    stream: answered?.stream ?? null,
    tries: answered?.tries ?? 0,
    ttftMs: rounded(answered?.ttftMs ?? null),
    totalMs: rounded(totalMs),
    inputTokens: answered?.inputTokens ?? null,
    outputTokens: answered?.outputTokens ?? null,
    finishReason: answered?.finishReason ?? null,
    ...(bodyBytes === null
      ? {}
      : { request: beginning(answered?.requestBody ?? null, bodyBytes), answer: beginning(answered?.answer ?? null, bodyBytes) }),
  };
  return `${JSON.stringify(line)}\n`;
}

function beginning(bytes: Buffer | null, most: number): string | null {
  if (bytes === null) return null;
  const text = bytes.toString('utf8', 0, most);
  return bytes.length > most ? `${text}... (cut at ${most} bytes)` : text;
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 10) / 10;
}
