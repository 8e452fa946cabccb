// What a gateway says about itself to supervisors. A class of its own so that Nest can inject it.
import type { EngineReport } from '#libs/storage';

export interface StateOfGateway {
  readonly ready: boolean;
  readonly draining: boolean;
  readonly checks: {
    readonly routingTable: { readonly generation: number; readonly ageS: number | null } | null;
    /** False when the database was not heard of for five seconds: the gateway serves on by what it knows. */
    readonly database: boolean;
    /** `poll` when hints do not come through, as behind a transaction pooler. */
    readonly hints: 'listen' | 'poll';
    readonly droppedWindows: number;
    readonly inFlight: number;
    readonly engines: Readonly<Record<string, EngineReport>>;
  };
}

export class GatewayState {
  constructor(readonly read: () => StateOfGateway) {}
}
