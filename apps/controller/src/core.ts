// What every part of the controller is given: settings and ports. Injected by these classes and tokens.

/** Settings of one controller. */
export class ControllerSettings {
  constructor(
    readonly values: {
      readonly databaseUrl: string;
      readonly host: string;
      readonly port: number;
      /** Where people reach the dashboard and the API, without a slash at the end: links in alerts begin with it. */
      readonly publicUrl: string;
      /** Folder of the built dashboard; null serves none. */
      readonly dashboardDir: string | null;
      /** 64 hex digits: seals secrets at rest and signs session cookies. */
      readonly secretKey: string;
      readonly keepWindowsDays: number;
      /** Networks to which webhooks may go although they are not public. */
      readonly webhookAllowCidrs: readonly string[];
      /** Rollouts that may be live at once, over all models. */
      readonly maxRollouts: number;
    },
  ) {}
}

/** Injection tokens of the ports of #libs/base and of the log. */
export const CLOCK = Symbol('Clock');
export const IDS = Symbol('Ids');
export const RNG = Symbol('Rng');
export const LOG = Symbol('Log');
