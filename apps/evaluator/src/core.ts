// What every part of the evaluator is given: settings and ports. Injected by these classes and tokens.

/** Settings of one evaluator. */
export class EvaluatorSettings {
  constructor(
    readonly values: {
      readonly databaseUrl: string;
      /** Base address of the gateway, without a slash at the end. */
      readonly gatewayUrl: string;
      /** API key with the scopes `inference:invoke` and `inference:pin`. */
      readonly gatewayKey: string;
      /** Requests in flight per evaluation: bounds what an evaluation can take from live traffic. */
      readonly concurrency: number;
      /** Longest time for one request, milliseconds. */
      readonly requestLimitMs: number;
      /** Longest time one case is tried again while the gateway is away or the version is not served yet, milliseconds. */
      readonly patienceMs: number;
    },
  ) {}
}

/** Injection tokens of the ports of #libs/base and of the log. */
export const CLOCK = Symbol('Clock');
export const IDS = Symbol('Ids');
export const LOG = Symbol('Log');
