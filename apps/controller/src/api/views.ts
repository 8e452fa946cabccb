// Rows as resources of the API: one place says what people see of a rollout, an event, a model, a version, a gateway, a key.
import type {
  ApiKeyResource,
  GatewayResource,
  ModelResource,
  RolloutEventResource,
  RolloutResource,
  VersionResource,
  VersionSpec,
} from '#libs/contract';
import type { Evidence, Reason } from '#libs/rollout';
import type { ApiKeyRow, EarlierRollouts, GatewayRow, ModelRow, RolloutEventRecord, RolloutRecord, VersionRow } from '#libs/storage';
import { appliedBy, observedBy } from '../evidence.js';
import { sentenceOf } from '../outbox-data.js';
import { stateSentence } from '../sentence.js';

/** What a rollout's resource is made from beside its row. */
export interface Surroundings {
  readonly gateways: readonly GatewayRow[];
  readonly incarnation: string;
  readonly newest: { readonly reason: Reason; readonly evidence: Evidence | null } | null;
  readonly earlier: EarlierRollouts;
  readonly now: number;
}

export function viewRollout(record: RolloutRecord, around: Surroundings): RolloutResource {
  const { phase } = record;
  const gateways = appliedBy(around.gateways, around.incarnation, record.generation);
  const inner = phase.phase === 'paused' ? phase.from : phase;
  return {
    id: record.id,
    model: record.model,
    stable: { id: record.stableVersionId, label: record.stableLabel },
    candidate: { id: record.candidateVersionId, label: record.candidateLabel },
    phase: phase.phase,
    step: 'step' in inner ? inner.step : null,
    stepCount: record.plan.steps.length,
    // A promoted candidate is the stable version now: all of the traffic is its own.
    weightPct: phase.phase === 'promoted' ? 100 : Number((record.weight * 100).toFixed(6)),
    since: 'at' in phase ? phase.at : phase.since,
    reason: 'reason' in phase ? phase.reason : null,
    sentence: stateSentence(
      phase,
      record.weight,
      around.newest,
      { stable: record.stableLabel, candidate: record.candidateLabel, plan: record.plan },
      around.now,
    ),
    generation: record.generation,
    observedGeneration: observedBy(around.gateways, around.incarnation),
    delivery: deliveryText(gateways),
    settled: record.command === null && gateways.missing.length === 0,
    earlier: around.earlier,
    gateways,
    plan: { ...record.plan },
    revision: record.revision,
    createdAt: Math.round(record.createdAt),
    createdBy: record.createdBy,
    endedAt: record.endedAt === null ? null : Math.round(record.endedAt),
  };
}

/** Who serves by the newest decision: "applied on 2 of 3, missing: gateway-b". */
function deliveryText({ live, applied, missing }: RolloutResource['gateways']): string {
  if (live === 0) return 'no gateway reports';
  return `applied on ${applied} of ${live}${missing.length > 0 ? `, missing: ${missing.join(', ')}` : ''}`;
}

export function viewEvent(record: RolloutRecord, event: RolloutEventRecord): RolloutEventResource {
  return {
    seq: event.seq,
    rolloutId: event.rolloutId,
    at: Math.round(event.at),
    actor: event.actor,
    transition: event.transition,
    fromPhase: event.fromPhase,
    toPhase: event.toPhase,
    weightPct: Number((event.weight * 100).toFixed(6)),
    reason: event.reason as RolloutEventResource['reason'],
    sentence: sentenceOf(record, event),
    generation: event.generation,
    evidence: event.evidence as RolloutEventResource['evidence'],
  };
}

export function viewModel(model: ModelRow, stable: Pick<VersionRow, 'id' | 'label'> | null): ModelResource {
  return {
    name: model.name,
    stable: stable ? { id: stable.id, label: stable.label } : null,
    defaultPlan: model.defaultPlan,
    revision: model.revision,
    createdAt: Math.round(model.createdAt),
  };
}

export function viewVersion(version: VersionRow): VersionResource {
  return {
    id: version.id,
    model: version.model,
    label: version.label,
    digest: version.digest,
    spec: version.spec as unknown as VersionSpec,
    lineage: version.lineage,
    createdBy: version.createdBy,
    createdAt: Math.round(version.createdAt),
  };
}

export function viewGateway(gateway: GatewayRow): GatewayResource {
  return {
    id: gateway.id,
    generation: gateway.generation,
    seenAt: Math.round(gateway.seenAt),
    live: gateway.live,
    droppedWindows: gateway.droppedWindows,
    engines: { ...gateway.engines },
  };
}

/** Never its hash. `askedBy`: id of the key that asks. */
export function viewApiKey(key: ApiKeyRow, askedBy: string, now: number): ApiKeyResource {
  const { id, name, prefix, scopes, limits, createdBy, revision } = key;
  const over = key.expiresAt !== null && key.expiresAt <= now;
  return {
    id,
    name,
    prefix,
    state: key.revokedAt !== null ? 'revoked' : over ? 'expired' : 'active',
    scopes: [...scopes],
    limits,
    createdBy,
    createdAt: Math.round(key.createdAt),
    expiresAt: key.expiresAt === null ? null : Math.round(key.expiresAt),
    revokedAt: key.revokedAt === null ? null : Math.round(key.revokedAt),
    self: id === askedBy,
    revision,
  };
}
