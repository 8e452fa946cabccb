// The routing table is derived from phases, never edited: status and routing cannot disagree.
import { isExposed, isTerminal } from './graph.js';
import type { Rollout } from './model.js';
import type { JudgePolicy, Plan, ShadowPlan, ShadowPolicy, StickyBy } from './plan.js';
import { controlWeightOf, weightOf } from './weight.js';

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
    /** Absent = by request. */
    readonly stickyBy?: StickyBy;
    /** Requests that stable answers are mirrored to the candidate, within this. Absent: none are. */
    readonly shadow?: ShadowPolicy;
    /** A request that has not ended so long after its assignment is counted as unfinished, in both arms alike. Absent: none is. Milliseconds. */
    readonly unfinishedAfterMs?: number;
    /** Version and probability of the control arm; candidate and control together take at most 1. Absent: there is none. */
    readonly control?: { readonly version: string; readonly weight: number };
    /** Share of each arm's answers that is scored. Absent: none is. */
    readonly quality?: QualityScoring;
  } | null;
}

/** Who scores answers, and which. */
export interface QualityScoring {
  readonly sampleStable: number;
  readonly sampleCandidate: number;
  /** Absent: no model judges. `version`: id; absent: the one that serves the model. */
  readonly judge?: {
    readonly model: string;
    readonly version?: string;
    readonly concurrentRequests: number;
    readonly tokensPerSecond: number;
  };
  /** Scores by `POST /v1/feedback` are those of the check. Absent: they are shown. */
  readonly feedback?: 'judged';
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

/** What the table is derived from: models, live rollouts, the versions they name, and versions that a running evaluation pins. */
export interface TableInput {
  readonly models: readonly { readonly name: string; readonly stableVersionId: string | null }[];
  readonly rollouts: readonly (Pick<Rollout, 'id' | 'model' | 'candidateVersionId' | 'phase' | 'plan' | 'epoch'> & {
    readonly salt: string;
    /** Of the frozen scores; null or absent while there are none. */
    readonly unfinishedAfterMs?: number | null;
  })[];
  readonly versions: readonly ServedVersion[];
  readonly pinnedVersionIds: readonly string[];
}

/** Derives routes and the versions to keep loaded. Throws when a needed version is not among `versions`: a broken caller, not bad input. */
export function deriveTable({ models, rollouts, versions, pinnedVersionIds }: TableInput): Pick<RoutingTable, 'routes' | 'versions'> {
  const needed = new Set(pinnedVersionIds);
  const routes = models.map(({ name, stableVersionId }): Route => {
    const rollout = rollouts.find((live) => live.model === name && !isTerminal(live.phase));
    if (stableVersionId) needed.add(stableVersionId);
    if (rollout) needed.add(rollout.candidateVersionId);
    if (rollout?.plan.control) needed.add(rollout.plan.control.versionId);
    const { enabled, judge } = rollout?.plan.checks.quality ?? {};
    if (enabled && judge?.versionId) needed.add(judge.versionId);
    return {
      model: name,
      stable: stableVersionId,
      rollout: rollout ? candidature(rollout) : null,
    };
  });
  const byId = new Map(versions.map((version) => [version.id, version]));
  const served: Record<string, ServedVersion> = {};
  for (const id of needed) {
    const version = byId.get(id);
    if (!version) throw new Error(`the routing table needs version ${id}, which was not given`);
    served[id] = version;
  }
  return { routes, versions: served };
}

function candidature(rollout: TableInput['rollouts'][number]): Route['rollout'] {
  const { id, candidateVersionId: candidate, phase, plan, epoch, salt, unfinishedAfterMs } = rollout;
  const weight = weightOf(phase, plan);
  const { control, checks } = plan;
  const controlWeight = controlWeightOf(phase, plan);
  return {
    id,
    candidate,
    weight,
    epoch,
    salt,
    ...(plan.stickyBy === 'user' ? { stickyBy: plan.stickyBy } : {}),
    // Once users meet the candidate, their requests tell more than mirrors, and it has work of its own.
    ...(plan.shadow && !isExposed(phase) ? { shadow: mirrors(plan.shadow) } : {}),
    ...(unfinishedAfterMs ? { unfinishedAfterMs } : {}),
    ...(control && controlWeight > 0 ? { control: { version: control.versionId, weight: controlWeight } } : {}),
    ...(checks.quality.enabled && weight > 0 ? { quality: scoring(checks.quality) } : {}),
  };
}

/** What gateways need of the plan's shadow: its bounds, not what its verdict needs. */
function mirrors({ share, concurrentRequests, tokensPerSecond, scoring }: ShadowPlan): ShadowPolicy {
  return { share, concurrentRequests, tokensPerSecond, ...(scoring ? { scoring } : {}) };
}

function scoring({ sampleStable, sampleCandidate, judge, feedback }: Plan['checks']['quality']): QualityScoring {
  return { sampleStable, sampleCandidate, ...(judge ? { judge: judging(judge) } : {}), ...(feedback === 'judged' ? { feedback } : {}) };
}

function judging({ model, versionId, concurrentRequests, tokensPerSecond }: JudgePolicy): NonNullable<QualityScoring['judge']> {
  return { model, concurrentRequests, tokensPerSecond, ...(versionId ? { version: versionId } : {}) };
}
