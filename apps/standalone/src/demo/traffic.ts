// The demo's users: replay the bundled prompts against the gateway as any OpenAI application would, and remember who answered when.
import { readFile } from 'node:fs/promises';
import { Pool } from 'undici';
import type { Clock } from '#libs/base';

interface Prompt {
  readonly id: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

/** One answered or failed request, as the client saw it. */
export interface Sighting {
  readonly startedAt: number;
  readonly finishedAt: number;
  /** Label of the version that answered, null when nobody did. */
  readonly version: string | null;
  readonly rollout: string | null;
  readonly ok: boolean;
  readonly error: string | null;
}

const requestDeadlineMs = 60_000;
const keepSightings = 200_000;

/** A fixed number of clients, each asking one question after the other with a short pause. Loads loopback only; bounded by `stop`. */
export class Traffic {
  readonly sightings: Sighting[] = [];
  private running = false;
  private clients: Promise<void>[] = [];
  private prompts: Prompt[] = [];
  private next = 0;

  constructor(
    private readonly options: {
      readonly gatewayUrl: string;
      readonly apiKey: string;
      readonly model: string;
      readonly file: string;
      readonly clients: number;
      readonly pauseMs: number;
      readonly clock: Clock;
    },
  ) {}

  async start(): Promise<void> {
    const text = await readFile(this.options.file, 'utf8');
    this.prompts = text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line) as Prompt);
    const pool = new Pool(this.options.gatewayUrl, { connections: this.options.clients, pipelining: 1 });
    this.running = true;
    this.clients = Array.from({ length: this.options.clients }, async () => {
      while (this.running) {
        await this.ask(pool);
        await this.options.clock.sleep(this.options.pauseMs);
      }
    });
    void Promise.all(this.clients).finally(() => pool.close());
  }

  private async ask(pool: Pool): Promise<void> {
    const prompt = this.prompts[this.next++ % this.prompts.length];
    if (!prompt) throw new Error('the traffic file holds no prompt');
    const startedAt = this.options.clock.now();
    let version: string | null = null;
    let rollout: string | null = null;
    let error: string | null = null;
    try {
      const response = await pool.request({
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { authorization: `Bearer ${this.options.apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: this.options.model, messages: prompt.messages, temperature: 0, max_tokens: 160 }),
        signal: AbortSignal.timeout(requestDeadlineMs),
      });
      const body = await response.body.text();
      version = headerOf(response.headers, 'x-serin-version');
      rollout = headerOf(response.headers, 'x-serin-rollout');
      if (response.statusCode !== 200) error = `HTTP ${response.statusCode} ${body.slice(0, 200)}`;
    } catch (cause) {
      error = cause instanceof Error ? cause.message : String(cause);
    }
    this.sightings.push({ startedAt, finishedAt: this.options.clock.now(), version, rollout, ok: error === null, error });
    if (this.sightings.length > keepSightings) this.sightings.splice(0, keepSightings / 2);
  }

  /** Requests that got no good answer. */
  failed(): Sighting[] {
    return this.sightings.filter((sighting) => !sighting.ok);
  }

  /** What the clients saw of one version: how many answers, the first answer's end and the last request's start. */
  seenOf(version: string, sinceAt: number): { answers: number; firstFinishedAt: number | null; lastStartedAt: number | null } {
    let answers = 0;
    let firstFinishedAt: number | null = null;
    let lastStartedAt: number | null = null;
    for (const sighting of this.sightings) {
      if (sighting.version !== version || sighting.startedAt < sinceAt) continue;
      answers += 1;
      firstFinishedAt = Math.min(firstFinishedAt ?? sighting.finishedAt, sighting.finishedAt);
      lastStartedAt = Math.max(lastStartedAt ?? sighting.startedAt, sighting.startedAt);
    }
    return { answers, firstFinishedAt, lastStartedAt };
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.clients);
  }
}

function headerOf(headers: Record<string, string | string[] | undefined>, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}
