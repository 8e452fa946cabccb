// A fleet whose endpoints are pages and numbers: what it decides can be seen without sockets and without waiting.
import type { Rng } from '#libs/base';
import type { EngineFault, Priority } from '#libs/engine';
import { Connection, type Page } from '../../libs/engine/src/http/connection.js';
import type { EndpointSetup } from '../../libs/engine/src/http/fleet/endpoint.js';
import { Fleet } from '../../libs/engine/src/http/fleet/fleet.js';
import type { Lease, LeaseRequest } from '../../libs/engine/src/http/fleet/lease.js';
import { noMetrics, type UpstreamMetrics } from '../../libs/engine/src/http/upstream-metrics.js';
import { uniforms } from './random.js';
import { VirtualTime } from './virtual-time.js';

/** Answers its health page as it is told; never connects. */
export class VirtualEndpoint extends Connection {
  /** A status; null: no answer at all; an error: no connection. */
  health: number | null | Error = 200;
  metrics: UpstreamMetrics = noMetrics;
  readonly asked: string[] = [];

  constructor(readonly name: string) {
    super({ origin: `http://${name}`, apiPath: '/v1/', rootPath: '/' }, undefined, 1_000);
  }

  override async get(path: string, signal: AbortSignal): Promise<Page> {
    this.asked.push(path);
    const { health } = this;
    if (health instanceof Error) throw health;
    if (health !== null) return { status: health, headers: {}, text: '' };
    return await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }
}

export const refusedConnection = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:8000'), { code: 'ECONNREFUSED' });

/** The same numbers at every run. */
export function seeded(seed: number): Rng {
  const uniform = uniforms(seed);
  return { uniform, bytes: (size) => Uint8Array.from({ length: size }, () => Math.floor(uniform() * 256)) };
}

export interface VirtualFleet {
  readonly clock: VirtualTime;
  readonly fleet: Fleet;
  readonly endpoints: readonly VirtualEndpoint[];
  /** What `onServing` was told. */
  readonly serving: boolean[];
  /** States by endpoint. */
  states(): string[];
  /** Requests that each endpoint holds. */
  running(): number[];
}

/** `limits`: requests at once, one entry per endpoint. Nothing looks after it but `fleet.start()`. */
export function aVirtualFleet(
  limits: readonly number[],
  { seed = 1, contextSize = null, trouble = [] }: { seed?: number; contextSize?: number | null; trouble?: readonly (string | null)[] } = {},
): VirtualFleet {
  const clock = new VirtualTime();
  const serving: boolean[] = [];
  const endpoints = limits.map((_, index) => new VirtualEndpoint(`replica-${index}`));
  const setups: EndpointSetup[] = endpoints.map((connection, index) => ({
    connection,
    name: connection.name,
    limit: limits[index] ?? 1,
    metrics: () => connection.metrics,
    trouble: trouble[index] ?? null,
  }));
  const onServing = (now: boolean): void => void serving.push(now);
  const fleet = new Fleet({ endpoints: setups, clock, rng: seeded(seed), contextSize, hasHealthPage: true, onServing });
  const figures = () => fleet.figures();
  return {
    clock,
    fleet,
    endpoints,
    serving,
    states: () => figures().map(({ state }) => state),
    running: () => figures().map(({ running }) => running),
  };
}

export interface Asked {
  lease: Lease | null;
  fault: EngineFault | null;
  leave(): void;
}

export interface Wish {
  readonly affinity?: string;
  readonly tokens?: number;
  readonly tenant?: string;
  readonly priority?: Priority;
  readonly deadlineMs?: number | null;
}

export function leaseRequest({ affinity, tokens = 100, tenant = 'a', priority = 'live', deadlineMs = null }: Wish = {}): LeaseRequest {
  return { affinity: affinity === undefined ? null : () => affinity, tokens, ticket: { tenant, priority, deadlineMs } };
}

/** Asks for a place: granted, refused or, while neither, waiting. */
export function ask({ fleet }: VirtualFleet, wish: Wish = {}): Asked {
  const asked: Asked = { lease: null, fault: null, leave: () => waiting.cancel() };
  const waiting = fleet.acquire(
    leaseRequest(wish),
    (lease) => {
      asked.lease = lease;
    },
    (fault) => {
      asked.fault = fault;
    },
  );
  return asked;
}

/** Granted at once, or the spec is wrong. */
export function hold(scene: VirtualFleet, wish: Wish = {}): Lease {
  const { lease, fault } = ask(scene, wish);
  if (lease === null) throw new Error(`no place: ${fault?.message ?? 'it waits'}`);
  return lease;
}
