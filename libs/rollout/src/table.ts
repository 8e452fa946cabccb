// The routing table is derived from phases, never edited: status and routing cannot disagree.

/** One model's traffic. `weight` is the probability, in [0, 1], with which each unit's independent coin shows the candidate. */
export interface Route {
  readonly model: string;
  readonly stable: string | null;
  readonly rollout: {
    readonly id: string;
    readonly candidate: string;
    readonly weight: number;
    readonly epoch: number;
    /** Hex salt of the keyed hash; fixed for the life of the rollout. */
    readonly salt: string;
  } | null;
}

/** Generation grows by one with every change; a lower one is accepted only with a new incarnation (a failed-over database). */
export interface RoutingTable {
  readonly incarnation: string;
  readonly generation: number;
  readonly routes: readonly Route[];
  /** Versions that gateways must keep loaded, by id: everything that a route, a rollout or a running evaluation needs. */
  readonly versions: Readonly<Record<string, ServedVersion>>;
}

/** What a gateway must know to serve a version. `spec` is validated by the contract; here it is opaque. */
export interface ServedVersion {
  readonly id: string;
  readonly model: string;
  readonly label: string;
  readonly digest: string;
  readonly spec: unknown;
}
