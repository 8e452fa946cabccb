// Starts rollouts and takes commands to them: what the API, the hooks and any later caller share, in the caller's transaction.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { fail, type Ids, type Outcome, ok, type Rng } from '#libs/base';
import type { PlanInput } from '#libs/contract';
import type { OperatorCommand, Plan, Reason } from '#libs/rollout';
import type { EarlierRollouts, RolloutRecord } from '#libs/storage';
import { ControllerSettings, IDS, RNG } from './core.js';
import { outboxData } from './outbox-data.js';
import { modelUnknown, planFor, Registry, versionUnknown } from './registry.js';
import { type ControlStores, STORES } from './stores.js';

export interface StartRollout {
  readonly model: string;
  /** Label of a registered version of the model. */
  readonly candidate: string;
  readonly plan?: PlanInput | undefined;
  readonly actor: string;
}

/** `first-stable`: the model had no version in service, so this one serves at once and there is nothing to roll out. */
export type Started =
  | { readonly kind: 'rollout'; readonly rollout: RolloutRecord }
  | { readonly kind: 'first-stable'; readonly versionId: string; readonly label: string };

/** No such rollout. */
export function rolloutUnknown(id: string): Outcome<never> {
  return fail({
    code: 'rollout.not-found',
    message: `There is no rollout ${id}.`,
    field: 'id',
    remedy: 'List them: GET /api/v1/rollouts.',
  });
}

/** A candidate that was tried before is told with what the tries have spent: bounds on a false rollback add up. */
function spentNumbers(earlier: EarlierRollouts | undefined): Pick<Reason, 'numbers'> {
  return earlier && earlier.rollouts > 0
    ? { numbers: { earlier: earlier.rollouts, exposed: earlier.exposed, spentAlpha: earlier.spentAlpha } }
    : {};
}

@Injectable()
export class RolloutDesk {
  constructor(
    @Inject(ControllerSettings) private readonly settings: ControllerSettings,
    @Inject(STORES) private readonly stores: ControlStores,
    @Inject(Registry) private readonly registry: Pick<Registry, 'makeFirstStable'>,
    @Inject(IDS) private readonly ids: Ids,
    @Inject(RNG) private readonly rng: Rng,
  ) {}

  /**
   * Starts a rollout, whole or not at all. Faults: `model.not-found`, `version.not-found`, `rollout.candidate-is-stable`, `rollout.already-live`,
   * `rollout.limit-reached`, `test-set.not-found`, `plan.control-not-apart`, any of `checkPlan`. On a fault the caller must roll its transaction back if it wrote anything before.
   */
  async start(tx: EntityManager, request: StartRollout): Promise<Outcome<Started>> {
    const model = await this.stores.models.byName(tx, request.model);
    if (!model) return modelUnknown(request.model);
    const candidate = await this.stores.versions.byLabel(tx, model.id, request.candidate);
    if (!candidate) return versionUnknown(model.name, request.candidate, 'candidate');
    const plan = planFor(model, request.plan);
    if (!plan.ok) return plan;
    if (plan.value.gate && !(await this.stores.testSets.newest(tx, plan.value.gate.testSet))) {
      return fail({
        code: 'test-set.not-found',
        message: `There is no test set "${plan.value.gate.testSet}" with a frozen version.`,
        field: 'plan.gate.testSet',
        remedy: 'Create it with POST /api/v1/test-sets and POST /api/v1/test-sets/{name}/versions, or set plan.gate to null.',
      });
    }
    if (!model.stableVersionId) {
      const first = await this.registry.makeFirstStable(tx, model, candidate, request.actor);
      return first.ok ? ok({ kind: 'first-stable', versionId: candidate.id, label: candidate.label }) : first;
    }
    const control = await this.controlOf(tx, model, plan.value, candidate.id);
    if (!control.ok) return control;
    if (model.stableVersionId === candidate.id) {
      return fail({
        code: 'rollout.candidate-is-stable',
        message: `Version "${candidate.label}" is the stable version of "${model.name}" already.`,
        field: 'candidate',
        remedy: 'Name another version.',
      });
    }
    const judge = await this.judgeOf(tx, plan.value);
    if (!judge.ok) return judge;
    const { checks } = plan.value;
    const created = await this.stores.rollouts.create(tx, {
      id: this.ids.uuid(),
      modelId: model.id,
      stableVersionId: model.stableVersionId,
      candidateVersionId: candidate.id,
      plan: { ...plan.value, control: control.value, checks: { ...checks, quality: { ...checks.quality, judge: judge.value } } },
      salt: Buffer.from(this.rng.bytes(16)).toString('hex'),
      createdBy: request.actor,
    });
    if (!created.ok) return created;
    const rollout = await this.announce(tx, created.value, request.actor);
    // After the routing table's row lock, which all who start one hold in turn: the count is exact.
    const { maxRollouts } = this.settings.values;
    if ((await this.stores.history.countLive(tx)) > maxRollouts) {
      return fail({
        code: 'rollout.limit-reached',
        message: `${maxRollouts} rollouts are live, which is the most that this installation allows.`,
        retryable: true,
        remedy: 'Start it again when one has ended, or raise SERIN_MAX_ROLLOUTS.',
      });
    }
    return ok({ kind: 'rollout', rollout });
  }

  /** The plan's control arm with the id of its version. It must be a version of its own: one that serves elsewhere has queues of its own kind. */
  private async controlOf(
    tx: EntityManager,
    model: { readonly id: string; readonly name: string; readonly stableVersionId: string | null },
    { control }: Plan,
    candidateId: string,
  ): Promise<Outcome<Plan['control']>> {
    if (!control) return ok(null);
    const version = await this.stores.versions.byLabel(tx, model.id, control.version);
    if (!version) return versionUnknown(model.name, control.version, 'plan.control.version');
    if (version.id === candidateId || version.id === model.stableVersionId) {
      return fail({
        code: 'plan.control-not-apart',
        message: `Version "${control.version}" is the ${version.id === candidateId ? 'candidate' : 'stable version'} itself.`,
        field: 'plan.control.version',
        remedy: "Register stable's model once more under another label, on replicas as fresh as the candidate's, and name that.",
      });
    }
    return ok({ version: control.version, versionId: version.id });
  }

  /** Who judges quality, with the id of a version that is named. */
  private async judgeOf(tx: EntityManager, { checks: { quality } }: Plan): Promise<Outcome<Plan['checks']['quality']['judge']>> {
    if (!quality.enabled || !quality.judge) return ok(quality.judge);
    const model = await this.stores.models.byName(tx, quality.judge.model);
    if (!model) {
      return fail({
        code: 'model.not-found',
        message: `There is no model "${quality.judge.model}" that could judge.`,
        field: 'plan.checks.quality.judge.model',
        remedy: 'Register it and a version of it first, or set the judge to null.',
      });
    }
    if (quality.judge.version === null) return ok(quality.judge);
    const version = await this.stores.versions.byLabel(tx, model.id, quality.judge.version);
    return version
      ? ok({ ...quality.judge, versionId: version.id })
      : versionUnknown(model.name, quality.judge.version, 'plan.checks.quality.judge.version');
  }

  /** Everything that belongs to a new rollout beside its row. */
  private async announce(tx: EntityManager, rollout: RolloutRecord, actor: string): Promise<RolloutRecord> {
    // The candidate enters the table at weight 0, so that gateways load it.
    const generation = await this.stores.routing.rebuild(tx);
    await this.stores.rollouts.setGeneration(tx, rollout.id, generation);
    const event = await this.stores.events.append(tx, {
      rolloutId: rollout.id,
      actor,
      transition: 'create',
      fromPhase: null,
      toPhase: 'pending',
      weight: 0,
      reason: { code: 'created', actor, ...spentNumbers((await this.stores.history.earlier(tx, [rollout.id])).get(rollout.id)) },
      evidence: null,
      generation,
    });
    await this.stores.outbox.append(tx, {
      type: 'rollout.created',
      subject: `rollout/${rollout.id}`,
      data: outboxData(rollout, event, this.settings.values.publicUrl),
    });
    await this.stores.audit.append(tx, {
      actor,
      action: 'rollout.created',
      subject: `rollout/${rollout.id}`,
      reason: null,
      detail: { model: rollout.model, stable: rollout.stableLabel, candidate: rollout.candidateLabel, plan: rollout.plan, generation },
    });
    await this.stores.notify(tx, rollout.id);
    return { ...rollout, generation };
  }

  /** Hands an operator's command to the next look (at once), unless it asks for what is so already. Faults as `RolloutStore.setCommand`. */
  async command(
    tx: EntityManager,
    rolloutId: string,
    command: OperatorCommand,
    ifRevision?: number,
  ): Promise<Outcome<{ revision: number; done: boolean }>> {
    const set = await this.stores.rollouts.setCommand(tx, rolloutId, command, ifRevision);
    if (!set.ok || set.value.done) return set;
    await this.stores.audit.append(tx, {
      actor: command.actor,
      action: `rollout.${command.kind}-asked`,
      subject: `rollout/${rolloutId}`,
      reason: command.reason,
      detail: {},
    });
    await this.stores.notify(tx, rolloutId);
    return set;
  }
}
