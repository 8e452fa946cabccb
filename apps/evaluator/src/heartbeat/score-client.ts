// Asks a version what it thinks of a text: `POST /v1/score` of the gateway, pinned.
import { Agent, fetch } from 'undici';
import type { TextFigures } from '#libs/analysis';

export type Reading =
  | { readonly kind: 'read'; readonly figures: TextFigures }
  /** Not now: the gateway is away, full, or has not loaded the version yet. */
  | { readonly kind: 'later'; readonly reason: string }
  /** The engine cannot score text. */
  | { readonly kind: 'cannot'; readonly reason: string };

export interface TextToRead {
  readonly model: string;
  readonly versionLabel: string;
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  readonly answer: string;
}

const longestAnswerBytes = 16 * 1_048_576;
const longestReason = 300;

interface Sums {
  readonly nll_total?: unknown;
  readonly tokens?: unknown;
  readonly entropy_mean?: unknown;
}

export class ScoreClient {
  private readonly agent = new Agent({ connections: 2, connectTimeout: 5_000, maxResponseSize: longestAnswerBytes, pipelining: 1 });

  constructor(private readonly options: { readonly gatewayUrl: string; readonly gatewayKey: string; readonly requestLimitMs: number }) {}

  /** Never rejects but for an abort of `signal`. */
  async read({ model, versionLabel, messages, answer }: TextToRead, signal: AbortSignal): Promise<Reading> {
    const { gatewayUrl, gatewayKey, requestLimitMs } = this.options;
    try {
      const response = await fetch(`${gatewayUrl}/v1/score`, {
        method: 'POST',
        dispatcher: this.agent,
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(requestLimitMs)]),
        headers: { authorization: `Bearer ${gatewayKey}`, 'content-type': 'application/json', 'x-serin-version': versionLabel },
        body: JSON.stringify({ model, input: { messages: [...messages, { role: 'assistant', content: answer }] } }),
      });
      const text = await response.text();
      if (response.ok) return readingOf(text);
      const reason = `HTTP ${response.status} ${text}`.slice(0, longestReason);
      return { kind: response.status === 400 || response.status === 501 ? 'cannot' : 'later', reason };
    } catch (error) {
      signal.throwIfAborted();
      return { kind: 'later', reason: (error instanceof Error ? error.message : String(error)).slice(0, longestReason) };
    }
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }
}

function readingOf(text: string): Reading {
  const { sums } = (JSON.parse(text) as { sequences?: { sums?: Sums }[] }).sequences?.[0] ?? {};
  const { nll_total: total, tokens, entropy_mean: entropy } = sums ?? {};
  if (typeof total !== 'number' || typeof tokens !== 'number' || tokens < 1)
    return { kind: 'cannot', reason: 'no token of the text has a score' };
  return { kind: 'read', figures: { nllNats: total / tokens, entropyNats: typeof entropy === 'number' ? entropy : null } };
}
