// Carries out a deployment hook once: receipt, version and rollout in one transaction, or none of them.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { type Fault, FaultError, fail, type Outcome } from '#libs/base';
import type { DeploymentHook } from '#libs/contract';
import { Database, HookReceiptStore } from '#libs/storage';
import { unwrap } from '../http/valid.js';
import { Registry } from '../registry.js';
import { RolloutDesk } from '../rollout-desk.js';

/** What a hook is answered with. `rollout` is null when none was asked for, or when the version serves at once as the model's first. */
export interface HookAnswer {
  readonly version: { readonly id: string; readonly label: string; readonly digest: string; readonly created: boolean };
  readonly rollout: { readonly id: string } | null;
  readonly firstStable: boolean;
}

export interface SignedHook {
  readonly source: string;
  /** The sender's id, the same over its retries. */
  readonly deliveryId: string;
  readonly raw: Uint8Array;
  readonly body: DeploymentHook;
}

/** Where the hook's body holds what the registry names in its own words. */
const fields: Readonly<Record<string, string>> = { label: 'version.label', spec: 'version.spec', candidate: 'version.label' };

function inHookWords(fault: Fault): Fault {
  const field = fault.field === undefined ? undefined : (fields[fault.field] ?? fault.field);
  return field === undefined ? fault : { ...fault, field };
}

@Injectable()
export class HookDesk {
  private readonly receipts = new HookReceiptStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Registry) private readonly registry: Registry,
    @Inject(RolloutDesk) private readonly desk: RolloutDesk,
  ) {}

  /**
   * Does it, or finds what was done for the same id. Only success is remembered: a failure changed nothing and may be mended (the
   * model created, the other rollout ended), and senders repeat exactly those ids that failed. Faults: `hook.id-taken` and those of
   * `Registry.registerVersion` and `RolloutDesk.start`.
   */
  async carryOut(hook: SignedHook): Promise<Outcome<{ readonly answer: HookAnswer; readonly repeated: boolean }>> {
    try {
      return { ok: true, value: await this.database.transaction(async (tx) => await this.once(tx, hook)) };
    } catch (error) {
      // Thrown so that the transaction rolls back; a value again for the caller.
      if (error instanceof FaultError) return { ok: false, fault: inHookWords(error.fault) };
      throw error;
    }
  }

  private async once(tx: EntityManager, hook: SignedHook): Promise<{ answer: HookAnswer; repeated: boolean }> {
    const { source, deliveryId, raw } = hook;
    const earlier = await this.receipts.claim(tx, { source, deliveryId, body: raw });
    if (earlier && !earlier.body.equals(raw)) {
      return unwrap(
        fail({
          code: 'hook.id-taken',
          message: 'This webhook-id came before with another body.',
          field: 'webhook-id',
          remedy: 'Give every new message a fresh id; repeat an id only with the same bytes.',
        }),
      );
    }
    if (earlier) return { answer: earlier.outcome as HookAnswer, repeated: true };
    const answer = await this.deploy(tx, hook);
    await this.receipts.settle(tx, source, deliveryId, answer);
    return { answer, repeated: false };
  }

  private async deploy(tx: EntityManager, { source, body }: SignedHook): Promise<HookAnswer> {
    const actor = `hook:${source}`;
    const registered = unwrap(await this.registry.registerVersion(tx, { model: body.model, ...body.version, actor }));
    const { id, label, digest } = registered.version;
    const version = { id, label, digest, created: registered.created };
    if (!body.start) return { version, rollout: null, firstStable: false };
    const started = unwrap(await this.desk.start(tx, { model: body.model, candidate: label, plan: body.plan, actor }));
    return started.kind === 'rollout'
      ? { version, rollout: { id: started.rollout.id }, firstStable: false }
      : { version, rollout: null, firstStable: true };
  }
}
