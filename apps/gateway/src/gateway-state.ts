// What a gateway says about itself to supervisors. A class of its own so that Nest can inject it.
import type { DeviceReading, HostMemory } from '#libs/engine';
import type { EngineReport } from '#libs/storage';
import type { CacheFigures } from './cache/answer-cache.js';
import type { EngineFigures } from './engines/pool.js';
import type { RequestFigures } from './observe/request-book.js';
import type { Feedback } from './quality/feedback.js';
import type { QualityFigures } from './quality/quality-counts.js';
import type { RequestLogFigures } from './request-log/request-log.js';
import type { ShadowFigures } from './shadow/counts.js';

export interface StateOfGateway {
  readonly ready: boolean;
  readonly draining: boolean;
  readonly checks: {
    /** Who answers: of several processes on a port any may. */
    readonly gateway: string;
    readonly routingTable: { readonly generation: number; readonly ageS: number | null } | null;
    /** False when the database was not heard of for five seconds: the gateway serves on by what it knows. */
    readonly database: boolean;
    /** `poll` while hints do not come through: without a connection to listen on, or behind a transaction pooler. */
    readonly hints: 'listen' | 'poll';
    /** A newer table that was not taken, and why; the one before stays in use. */
    readonly refusedTable: { readonly generation: number; readonly reason: string } | null;
    /** Live gateways, by which the limits of keys are divided; null before the first table. */
    readonly gateways: number | null;
    readonly droppedWindows: number;
    readonly inFlight: number;
    /** Null: it is off. */
    readonly requestLog: RequestLogFigures | null;
    /** How requests ended since the start, by version. */
    readonly requests: RequestFigures;
    /** Requests mirrored to candidates. */
    readonly shadow: ShadowFigures;
    /** Live answers scored by judges. */
    readonly quality: QualityFigures;
    /** What came to `POST /v1/feedback` here, by rollout and arm. */
    readonly feedback: ReturnType<Feedback['figures']>;
    /** The response cache; null when it is off. */
    readonly cache: CacheFigures | null;
    readonly engines: Readonly<Record<string, EngineReport>>;
    /** Queue, occupancy, cache and speed of each engine, by version id. */
    readonly figures: Readonly<Record<string, EngineFigures>>;
    /** `gpus` null: no driver on this machine, or it does not answer; `gpuReason` says which. Never 0 for what is not known. */
    readonly machine: { readonly memory: HostMemory; readonly gpus: readonly DeviceReading[] | null; readonly gpuReason: string | null };
  };
}

export class GatewayState {
  constructor(readonly read: () => Promise<StateOfGateway>) {}
}
