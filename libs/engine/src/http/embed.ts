// Vectors through an upstream's /embeddings, made unit length: what they are compared by is their direction.
import { type Embeddings, type EmbedRequest, EngineError } from '../engine.js';
import type { Connection } from './connection.js';
import { broken, refusalFault } from './faults.js';
import { json } from './identify.js';

const largestAnswerBytes = 64 << 20;

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** One vector per input, in the inputs' order. Throws EngineError; rejects with what the transport rejects with. */
export async function embedAt(
  connection: Connection,
  { inputs }: EmbedRequest,
  {
    model,
    secret,
    now,
    signal,
    mayResend,
  }: {
    readonly model: string;
    readonly secret: string | undefined;
    readonly now: number;
    readonly signal: AbortSignal;
    readonly mayResend: () => boolean;
  },
): Promise<Embeddings> {
  if (inputs.length === 0) return { vectors: [], inputTokens: 0 };
  const body = JSON.stringify({ model, input: inputs, encoding_format: 'float' });
  const page = await connection.exchange(`${connection.target.apiPath}embeddings`, body, signal, largestAnswerBytes, mayResend);
  if (page.status !== 200) {
    const retryAfter = page.headers['retry-after'];
    const refusal = { status: page.status, retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined, text: page.text };
    throw new EngineError(refusalFault(refusal, now, secret));
  }
  const answer = json(page.text);
  const data = isObject(answer) ? answer['data'] : null;
  if (!isObject(answer) || !Array.isArray(data) || data.length !== inputs.length)
    throw broken(`the upstream did not answer with ${inputs.length} embeddings`);
  const vectors: (readonly number[] | undefined)[] = inputs.map(() => undefined);
  for (const [position, entry] of data.entries()) {
    const index: unknown = isObject(entry) ? (entry['index'] ?? position) : null;
    const unit = isObject(entry) ? unitVector(entry['embedding']) : null;
    if (unit === null || typeof index !== 'number' || !(index in vectors) || vectors[index] !== undefined)
      throw broken('the upstream answered with an embedding that is none');
    vectors[index] = unit;
  }
  const usage = isObject(answer['usage']) ? answer['usage'] : {};
  return {
    vectors: vectors.filter((vector) => vector !== undefined),
    inputTokens: typeof usage['prompt_tokens'] === 'number' ? usage['prompt_tokens'] : 0,
  };
}

/** Null for what has no direction. */
export function unitVector(value: unknown): readonly number[] | null {
  if (!Array.isArray(value) || value.length === 0 || !value.every((part) => typeof part === 'number' && Number.isFinite(part))) return null;
  const parts = value as readonly number[];
  // Scaled first, so that squares neither overflow nor vanish.
  const largest = parts.reduce((most, part) => Math.max(most, Math.abs(part)), 0);
  if (largest === 0) return null;
  const length = Math.sqrt(parts.reduce((sum, part) => sum + (part / largest) ** 2, 0));
  return parts.map((part) => part / largest / length);
}
