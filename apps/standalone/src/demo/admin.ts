// The demo talks to the controller as any operator's script would: HTTP with an API key. A restarting controller is waited for.
import { createHmac, randomUUID } from 'node:crypto';
import type { Clock } from '#libs/base';
import type { EvidenceResource, GatewayResource, RolloutEventResource, RolloutResource } from '#libs/contract';

const callDeadlineMs = 10_000;
const patienceMs = 60_000;

export class AdminError extends Error {
  override readonly name = 'AdminError';
  constructor(
    message: string,
    /** HTTP status and body of the refusal; 0 when there was no answer. */
    readonly status = 0,
    readonly body = '',
  ) {
    super(message);
  }
}

/** Calls to the admin API. Connection failures and 5xx are repeated for a minute (every write here is idempotent); other refusals throw AdminError. */
export class Admin {
  constructor(
    private readonly baseUrl: string,
    private readonly apiKey: string,
    private readonly clock: Clock,
  ) {}

  async call<T>(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<T> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.apiKey}` };
    if (body !== undefined) headers['content-type'] = contentType;
    if (method === 'POST') headers['idempotency-key'] = randomUUID();
    const payload = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
    return await this.send<T>(method, path, headers, payload);
  }

  /** A deployment webhook, signed as Standard Webhooks 1.0 asks: HMAC-SHA256 over `id.timestamp.body`. */
  async deploy(secret: string, payload: unknown): Promise<{ rolloutId: string }> {
    const id = `msg_${randomUUID()}`;
    const timestamp = Math.floor(this.clock.now() / 1000);
    const body = JSON.stringify(payload);
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    const answer = await this.send<{ rollout?: { id: string } | null; rolloutId?: string }>(
      'POST',
      '/hooks/generic',
      {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${signature}`,
      },
      body,
    );
    const rolloutId = answer.rollout?.id ?? answer.rolloutId;
    if (!rolloutId) throw new AdminError(`the webhook started no rollout: ${JSON.stringify(answer)}`);
    return { rolloutId };
  }

  async rollout(id: string): Promise<RolloutResource> {
    return await this.call('GET', `/api/v1/rollouts/${id}`);
  }

  async events(id: string): Promise<RolloutEventResource[]> {
    const answer = await this.call<{ items: RolloutEventResource[] }>('GET', `/api/v1/rollouts/${id}/events?limit=100`);
    return answer.items.toSorted((a, b) => a.seq - b.seq);
  }

  async newestEvidence(id: string): Promise<EvidenceResource | null> {
    const answer = await this.call<{ items: EvidenceResource[] }>('GET', `/api/v1/rollouts/${id}/evidence?limit=2000`);
    return answer.items.toSorted((a, b) => b.at - a.at)[0] ?? null;
  }

  /** What the gate says so far. 412 is an answer here: not passed yet. */
  async gateNote(id: string): Promise<string> {
    try {
      return (await this.call<{ note: string }>('GET', `/api/v1/gates/${id}`)).note;
    } catch (error) {
      if (!(error instanceof AdminError) || error.status !== 412) throw error;
      return (JSON.parse(error.body) as { note: string }).note;
    }
  }

  async gateways(): Promise<GatewayResource[]> {
    return (await this.call<{ items: GatewayResource[] }>('GET', '/api/v1/gateways')).items;
  }

  private async send<T>(method: string, path: string, headers: Record<string, string>, body: string | null): Promise<T> {
    const giveUpAt = this.clock.monotonicMs() + patienceMs;
    for (;;) {
      let trouble: string;
      try {
        const response = await fetch(`${this.baseUrl}${path}`, { method, headers, body, signal: AbortSignal.timeout(callDeadlineMs) });
        const text = await response.text();
        if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
        trouble = `${method} ${path}: HTTP ${response.status} ${text.slice(0, 500)}`;
        if (response.status < 500 && response.status !== 429) throw new AdminError(trouble, response.status, text);
      } catch (cause) {
        if (cause instanceof AdminError) throw cause;
        trouble = `${method} ${path}: ${cause instanceof Error ? cause.message : String(cause)}`;
      }
      if (this.clock.monotonicMs() > giveUpAt) throw new AdminError(`${trouble} (tried for ${patienceMs / 1000} s)`);
      await this.clock.sleep(250);
    }
  }
}
