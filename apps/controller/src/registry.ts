// Models and their immutable versions: what the API and the deployment hooks register by, in the caller's transaction.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { fail, type Ids, type Outcome, ok } from '#libs/base';
import type { PlanInput, VersionSpec } from '#libs/contract';
import { checkPlan, defaultPlan, type Plan, resolvePlan } from '#libs/rollout';
import { AuditStore, type ModelRow, ModelStore, OutboxStore, RoutingStore, type VersionRow, VersionStore } from '#libs/storage';
import { IDS } from './core.js';

export interface RegisterVersion {
  readonly model: string;
  readonly label: string;
  readonly spec: VersionSpec;
  readonly lineage?: Readonly<Record<string, string>> | undefined;
  readonly actor: string;
}

/** No such model: the same words wherever it happens. */
export function modelUnknown(name: string): Outcome<never> {
  return fail({
    code: 'model.not-found',
    message: `There is no model "${name}".`,
    field: 'model',
    remedy: 'List models with GET /api/v1/models, or create it with POST /api/v1/models.',
  });
}

/** No such version of a model. */
export function versionUnknown(model: string, label: string, field: string): Outcome<never> {
  return fail({
    code: 'version.not-found',
    message: `Model "${model}" has no version "${label}".`,
    field,
    remedy: `List them with GET /api/v1/models/${encodeURIComponent(model)}/versions, or register it first.`,
  });
}

/** The model's defaults over the product's, then the request over both; checked as a whole. Fields are named under `plan`. */
export function planFor(model: Pick<ModelRow, 'defaultPlan'>, plan: PlanInput | undefined): Outcome<Plan> {
  const base = resolvePlan(model.defaultPlan as PlanInput, defaultPlan);
  return checkPlan(plan ? resolvePlan(plan, base) : base);
}

@Injectable()
export class Registry {
  private readonly models = new ModelStore();
  private readonly versions = new VersionStore();
  private readonly routing = new RoutingStore();
  private readonly audit = new AuditStore();
  private readonly outbox = new OutboxStore();

  constructor(@Inject(IDS) private readonly ids: Ids) {}

  /** Faults: `model.name-taken`, any of `checkPlan`. */
  async createModel(
    tx: EntityManager,
    request: { name: string; defaultPlan?: PlanInput | undefined; actor: string },
  ): Promise<Outcome<ModelRow>> {
    const plan = planFor({ defaultPlan: {} }, request.defaultPlan);
    if (!plan.ok)
      return { ok: false, fault: { ...plan.fault, field: plan.fault.field?.replace(/^plan\b/, 'defaultPlan') ?? 'defaultPlan' } };
    const created = await this.models.create(tx, { id: this.ids.uuid(), name: request.name, defaultPlan: { ...request.defaultPlan } });
    if (!created.ok) return created;
    await this.audit.append(tx, {
      actor: request.actor,
      action: 'model.created',
      subject: `model/${request.name}`,
      reason: null,
      detail: { defaultPlan: request.defaultPlan ?? {} },
    });
    await this.routing.rebuild(tx);
    return created;
  }

  /** Sets the default plan and, while there is none, the first stable version. Faults: `model.not-found`, `model.revision-lost`, `model.stable-set`, `version.not-found`. */
  async changeModel(
    tx: EntityManager,
    name: string,
    change: { defaultPlan?: PlanInput | undefined; stable?: string | undefined; ifRevision?: number | undefined; actor: string },
  ): Promise<Outcome<ModelRow>> {
    const model = await this.models.byName(tx, name);
    if (!model) return modelUnknown(name);
    if (change.ifRevision !== undefined && change.ifRevision !== model.revision) return revisionLost(model);
    if (change.defaultPlan) {
      const plan = planFor({ defaultPlan: {} }, change.defaultPlan);
      if (!plan.ok)
        return { ok: false, fault: { ...plan.fault, field: plan.fault.field?.replace(/^plan\b/, 'defaultPlan') ?? 'defaultPlan' } };
      if (!(await this.models.setDefaultPlan(tx, model.id, { ...change.defaultPlan }, model.revision))) return revisionLost(model);
      await this.audit.append(tx, {
        actor: change.actor,
        action: 'model.plan-changed',
        subject: `model/${name}`,
        reason: null,
        detail: { from: model.defaultPlan, to: change.defaultPlan },
      });
    }
    if (change.stable !== undefined) {
      const version = await this.versions.byLabel(tx, model.id, change.stable);
      if (!version) return versionUnknown(name, change.stable, 'stable');
      if (model.stableVersionId !== version.id) {
        const set = await this.makeFirstStable(tx, model, version, change.actor);
        if (!set.ok) return set;
      }
    }
    const changed = await this.models.byName(tx, name);
    return changed ? ok(changed) : modelUnknown(name);
  }

  /** Puts the first version of a model in service at once: there is nothing to compare it with. Fault: `model.stable-set`. */
  async makeFirstStable(tx: EntityManager, model: ModelRow, version: VersionRow, actor: string): Promise<Outcome<VersionRow>> {
    const free: unknown[] = await tx.query('select 1 from models where id = $1 and stable_version_id is null for update', [model.id]);
    if (free.length === 0) {
      return fail({
        code: 'model.stable-set',
        message: `Model "${model.name}" has a stable version; another one takes its place only by a rollout.`,
        field: 'stable',
        remedy: `Start a rollout: POST /api/v1/models/${encodeURIComponent(model.name)}/rollouts {"candidate": "${version.label}"}.`,
      });
    }
    await this.models.setStable(tx, model.id, version.id);
    const generation = await this.routing.rebuild(tx);
    await this.audit.append(tx, {
      actor,
      action: 'model.stable-set',
      subject: `model/${model.name}`,
      reason: null,
      detail: { version: version.label, digest: version.digest, generation },
    });
    await this.outbox.append(tx, {
      type: 'model.stable_set',
      subject: `model/${model.name}`,
      data: {
        model: model.name,
        version: version.label,
        sentence: `${version.label} is the first version of ${model.name} and serves at once.`,
      },
    });
    return ok(version);
  }

  /** Registers a version; the same label with the same content answers the one that is there. Faults: `model.not-found`, `version.label-taken`, `version.content-known`. */
  async registerVersion(tx: EntityManager, request: RegisterVersion): Promise<Outcome<{ version: VersionRow; created: boolean }>> {
    const model = await this.models.byName(tx, request.model);
    if (!model) return modelUnknown(request.model);
    const registered = await this.versions.register(tx, {
      id: this.ids.uuid(),
      modelId: model.id,
      label: request.label,
      spec: { ...request.spec },
      lineage: { ...request.lineage },
      createdBy: request.actor,
    });
    if (!registered.ok || !registered.value.created) return registered;
    const { version } = registered.value;
    await this.audit.append(tx, {
      actor: request.actor,
      action: 'version.registered',
      subject: `model/${request.model}/version/${request.label}`,
      reason: null,
      detail: { digest: version.digest },
    });
    await this.outbox.append(tx, {
      type: 'model.version_registered',
      subject: `model/${request.model}`,
      data: { model: request.model, version: request.label, digest: version.digest, actor: request.actor },
    });
    return registered;
  }
}

function revisionLost(model: ModelRow): Outcome<never> {
  return fail({
    code: 'model.revision-lost',
    message: `Model "${model.name}" is at revision ${model.revision}.`,
    retryable: true,
    field: 'If-Match',
    remedy: 'Read the model again and send its ETag.',
  });
}
