// The short way as a test drives it: a body as a client writes it, and a sink that remembers every call.
import type { EngineFault, InferenceEngine, RelayHandle, RelayRequest, RelaySink, RelaySummary } from '#libs/engine';
import { scanBody } from '#libs/openai';
import { until } from './gateway.js';

export const aChat = { model: 'shown-model', messages: [{ role: 'user', content: 'Hi' }], stream: true };

/** `body`: an object, or the very text. */
export function aRelay(body: object | string = aChat, more: Partial<RelayRequest> = {}): RelayRequest {
  const scanned = scanBody(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
  if (!scanned.ok) throw new Error(scanned.fault.message);
  return {
    id: 'r1',
    endpoint: 'chat/completions',
    body: scanned.value,
    stream: scanned.value.value('stream') === true,
    withUsage: false,
    choices: 1,
    clientTop: null,
    defaults: {},
    modelShown: 'shown-model',
    affinity: null,
    deadlineMs: null,
    ...more,
  };
}

export class MemorySink implements RelaySink {
  readonly pieces: Buffer[] = [];
  begun: { readonly kind: 'whole' | 'stream'; readonly length: number | null } | null = null;
  ending: { readonly fault: EngineFault | null; readonly summary: RelaySummary } | null = null;
  /** What `write` says. */
  open = true;
  /** Rules of the port that were broken. */
  readonly broken: string[] = [];

  get text(): string {
    return Buffer.concat(this.pieces).toString('utf8');
  }

  /** The data of each event so far, `[DONE]` among them. */
  get events(): unknown[] {
    return this.text
      .split('\n\n')
      .filter((event) => event !== '')
      .map((event) => event.replace(/^data: /, ''))
      .map((data) => (data === '[DONE]' ? data : (JSON.parse(data) as unknown)));
  }

  begin(kind: 'whole' | 'stream', length: number | null): void {
    if (this.begun !== null || this.ending !== null) this.broken.push('begin came late or twice');
    this.begun = { kind, length };
  }

  write(bytes: Buffer): boolean {
    if (this.begun === null || this.ending !== null) this.broken.push('write came too early or too late');
    // As bytes that were really written: what the engine does with its buffer afterwards would show.
    this.pieces.push(bytes);
    return this.open;
  }

  end(summary: RelaySummary): void {
    this.close(null, summary);
  }

  fail(fault: EngineFault, summary: RelaySummary): void {
    this.close(fault, summary);
  }

  private close(fault: EngineFault | null, summary: RelaySummary): void {
    if (this.ending !== null) this.broken.push('a second ending came');
    this.ending = { fault, summary };
  }
}

export interface Relayed {
  readonly sink: MemorySink;
  readonly handle: RelayHandle;
}

export function startRelay(engine: InferenceEngine, request: RelayRequest): Relayed {
  const sink = new MemorySink();
  if (engine.relay === undefined) throw new Error('the engine has no short way');
  return { sink, handle: engine.relay(request, sink) };
}

/** To its ending. Throws when the sink saw a rule of the port broken. */
export async function relayed(
  engine: InferenceEngine,
  request: RelayRequest,
): Promise<MemorySink & { readonly ending: NonNullable<MemorySink['ending']> }> {
  const { sink } = startRelay(engine, request);
  await until(() => sink.ending !== null, 'the ending');
  if (sink.broken.length > 0) throw new Error(sink.broken.join('; '));
  return sink as MemorySink & { readonly ending: NonNullable<MemorySink['ending']> };
}
