// One try at one version by the short way: the upstream's bytes to the client as they come, measured by the engine while they pass.
import type { Clock } from '#libs/base';
import type { EngineFault, RelayHandle, RelayRequest, RelaySink, RelaySummary } from '#libs/engine';
import type { Attempt } from '../completions/attempt.js';
import type { Deadlines, Limits, Watched } from '../completions/deadlines.js';
import { failureOf } from '../completions/failure.js';
import type { Measured } from '../completions/measurement.js';
import type { Client } from './client.js';

export interface RelayInput {
  readonly relay: (request: RelayRequest, sink: RelaySink) => RelayHandle;
  readonly request: RelayRequest;
  readonly client: Client;
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly startedAtMs: number;
}

/** Never rejects for what upstreams and clients do; each ending is a state. */
export async function relayAttempt(input: RelayInput): Promise<Attempt> {
  return await new Promise((done) => {
    new Relayed(input, done).start();
  });
}

class Relayed implements RelaySink {
  private handle: RelayHandle | null = null;
  private readonly watch: Watched;
  private over = false;
  private turnAtMs: number;

  constructor(
    private readonly input: RelayInput,
    private readonly done: (attempt: Attempt) => void,
  ) {
    this.turnAtMs = input.startedAtMs;
    this.watch = input.deadlines.watch(input.limits, () => this.handle?.cancel());
  }

  start(): void {
    const { relay, request, client, clock } = this.input;
    const handle = relay(request, this);
    this.turnAtMs = clock.monotonicMs();
    // An engine may refuse before it returns.
    if (this.over) return;
    this.handle = handle;
    client.whenLeft(() => handle.cancel());
  }

  begin(kind: 'whole' | 'stream', length: number | null): void {
    this.input.client.begin(kind, length);
  }

  write(bytes: Buffer): boolean {
    const { client } = this.input;
    const open = client.write(bytes);
    if (open) {
      this.watch.token();
      return true;
    }
    // While the client does not read, the version owes no token.
    this.watch.pause();
    client.whenDrained(() => this.resume());
    return false;
  }

  end(summary: RelaySummary): void {
    const overAtMs = this.input.clock.monotonicMs();
    this.input.client.end();
    this.finish({ state: 'ok', outcome: 'ok', fault: null }, summary, overAtMs);
  }

  fail(fault: EngineFault, summary: RelaySummary): void {
    const { left, begun } = this.input.client;
    const seen = { fault, left, expired: this.watch.expired, begun, reached: summary.upstream !== null };
    this.finish(failureOf(seen), summary, this.input.clock.monotonicMs());
  }

  private resume(): void {
    if (this.over || this.input.client.left !== null) return;
    this.watch.token();
    this.handle?.resume();
  }

  private finish(how: Pick<Attempt, 'state' | 'outcome' | 'fault'>, summary: RelaySummary, overAtMs: number): void {
    const { turnAtMs } = this;
    this.over = true;
    this.watch.done();
    this.input.client.whenLeft(null);
    this.done({ ...measuredOf(summary, this.input), ...how, usage: summary.usage, queueWaitMs: summary.queueWaitMs, turnAtMs, overAtMs });
  }
}

function measuredOf(summary: RelaySummary, { startedAtMs, request: { choices } }: RelayInput): Measured {
  const { firstTokenAtMs, lastTokenAtMs, tokens, finishReason, uncertainty } = summary;
  // Answers grow side by side: the reader of each waits between its own tokens.
  const each = Math.ceil((summary.usage?.outputTokens ?? tokens) / choices);
  return {
    finishReason,
    ttftMs: firstTokenAtMs === null ? null : firstTokenAtMs - startedAtMs,
    interTokenMs: firstTokenAtMs !== null && lastTokenAtMs !== null && each > 1 ? (lastTokenAtMs - firstTokenAtMs) / (each - 1) : null,
    tokens,
    // The middle of two bounds is no entropy: it stays out rather than be compared with exact ones.
    entropyMeanNats: null,
    entropyMaxNats: null,
    nllMeanNats: uncertainty?.nllNats ?? null,
    // The bytes passed; nobody read the words.
    refused: false,
    looped: false,
  };
}
