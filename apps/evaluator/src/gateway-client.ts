// Asks one version one question through the gateway, pinned, and says what came of it in words that the runner can act on.
import { Agent, fetch } from 'undici';
import type { Clock } from '#libs/base';
import type { TestCase } from '#libs/scoring';

export type Reply =
  | { readonly kind: 'answered'; readonly output: string; readonly outputTokens: number | null; readonly latencyMs: number }
  /** The gateway cannot answer this now, but will: away, full, not loaded yet. Asking again costs nothing but time. */
  | { readonly kind: 'later'; readonly reason: string; readonly retryAfterMs: number | null }
  /** The version failed on this question. Worth a few more tries. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** The same question will be refused again. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface Question {
  readonly model: string;
  readonly versionLabel: string;
  readonly testCase: TestCase;
}

const longestAnswerBytes = 4 * 1_048_576;
const longestReason = 500;
const longestRetryAfterMs = 5_000;
/** The same question must be the same request in every run. */
const seed = 0;

export class GatewayClient {
  private readonly agent: Agent;

  constructor(
    private readonly options: {
      readonly gatewayUrl: string;
      readonly gatewayKey: string;
      readonly concurrency: number;
      readonly requestLimitMs: number;
      readonly clock: Clock;
    },
  ) {
    this.agent = new Agent({ connections: options.concurrency, connectTimeout: 5_000, maxResponseSize: longestAnswerBytes, pipelining: 1 });
  }

  /** Never rejects but for an abort of `signal`. */
  async ask({ model, versionLabel, testCase }: Question, signal: AbortSignal): Promise<Reply> {
    const { gatewayUrl, gatewayKey, requestLimitMs, clock } = this.options;
    const startedMs = clock.monotonicMs();
    const deadline = AbortSignal.timeout(requestLimitMs);
    try {
      const response = await fetch(`${gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        dispatcher: this.agent,
        redirect: 'error',
        signal: AbortSignal.any([signal, deadline]),
        headers: { authorization: `Bearer ${gatewayKey}`, 'content-type': 'application/json', 'x-serin-version': versionLabel },
        body: JSON.stringify({
          model,
          messages: testCase.messages,
          temperature: testCase.temperature ?? 0,
          seed,
          ...(testCase.max_tokens === undefined ? {} : { max_tokens: testCase.max_tokens }),
        }),
      });
      const text = await response.text();
      if (!response.ok) return refusalOf(response.status, text, response.headers.get('retry-after'));
      const servedBy = response.headers.get('x-serin-version');
      if (servedBy !== null && servedBy !== versionLabel) {
        return { kind: 'refused', reason: `version "${servedBy}" answered instead of "${versionLabel}"` };
      }
      return answerOf(text, clock.monotonicMs() - startedMs);
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.aborted) return { kind: 'failed', reason: `no answer within ${requestLimitMs / 1000} s` };
      const cause = causeOf(error);
      if (cause === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
        return { kind: 'refused', reason: `the answer is longer than ${longestAnswerBytes} bytes` };
      return { kind: 'later', reason: `the gateway cannot be reached: ${cause}`, retryAfterMs: null };
    }
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }
}

/** `fetch failed` says nothing; its cause does. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : cause instanceof Error ? cause.message.slice(0, longestReason) : 'unknown';
}

function answerOf(text: string, latencyMs: number): Reply {
  const body = parse(text) as { choices?: { message?: { content?: unknown } }[]; usage?: { completion_tokens?: unknown } } | null;
  const content = body?.choices?.[0]?.message?.content;
  if (typeof content !== 'string') return { kind: 'failed', reason: 'the answer is no chat completion' };
  const tokens = body?.usage?.completion_tokens;
  return {
    kind: 'answered',
    output: content,
    outputTokens: typeof tokens === 'number' && Number.isInteger(tokens) ? tokens : null,
    latencyMs,
  };
}

function refusalOf(status: number, text: string, retryAfter: string | null): Reply {
  const error = (parse(text) as { error?: { code?: unknown; message?: unknown } } | null)?.error;
  const code = typeof error?.code === 'string' ? error.code : '';
  const reason = `HTTP ${status}${code ? ` ${code}` : ''}${typeof error?.message === 'string' ? `: ${error.message}` : ''}`.slice(
    0,
    longestReason,
  );
  // A version or key that this gateway has not heard of yet arrives with its next table.
  const notYet = status === 401 || (status === 404 && (code === 'version_not_found' || code === 'model_not_found'));
  if (notYet || status === 408 || status === 429 || status === 503) {
    const seconds = Number(retryAfter ?? Number.NaN);
    return { kind: 'later', reason, retryAfterMs: seconds > 0 ? Math.min(seconds * 1000, longestRetryAfterMs) : null };
  }
  return { kind: status >= 500 ? 'failed' : 'refused', reason };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
