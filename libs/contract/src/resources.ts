// What the controller answers: resources of /api/v1 and the events of /api/v1/stream. Times are milliseconds since the Unix epoch.
import { z } from 'zod';
import { planInput } from './plan.js';
import { lineage, modelName, versionLabel, versionSpec } from './version.js';

export const verdict = z.enum(['pass', 'fail', 'inconclusive', 'unmeasured']);
export const phaseName = z.enum(['pending', 'gating', 'shadowing', 'progressing', 'baking', 'paused', 'promoted', 'rolledBack', 'aborted']);

export const finding = z.object({
  check: z.enum([
    'engine',
    'memory',
    'errors',
    'refusals',
    'entropy',
    'shape',
    'length',
    'quality',
    'ttft',
    'interToken',
    'latency',
    'cost',
  ]),
  verdict,
  logE: z.number(),
  direction: z.string().optional(),
  effect: z.number().nullable(),
  lower: z.number().nullable(),
  upper: z.number().nullable(),
  marginUp: z.number().nullable(),
  marginDown: z.number().nullable(),
  unit: z.enum(['ratio', 'points']),
  nStable: z.int(),
  nCandidate: z.int(),
  classes: z.array(z.object({ promptClass: z.string(), logE: z.number(), nCandidate: z.int() })).optional(),
  amber: z.boolean().optional(),
  band: z.object({ lower: z.number(), upper: z.number(), source: z.enum(['shadow', 'gate']) }).optional(),
  note: z.string().optional(),
});

export const reason = z.object({
  code: z.string(),
  check: finding.shape.check.optional(),
  direction: z.string().optional(),
  actor: z.string().optional(),
  text: z.string().optional(),
  numbers: z.record(z.string(), z.number()).optional(),
});

const armHealth = z.object({
  state: z.enum(['ready', 'loading', 'unreachable', 'failed', 'unknown']),
  reason: z.string().optional(),
  forS: z.number().optional(),
  memoryShare: z.number().optional(),
  restarts: z.int().optional(),
});

const inputDrift = z.object({
  responses: z.number(),
  mix: z.object({
    distance: z.number(),
    noise: z.number(),
    moved: z.boolean(),
    classes: z.array(z.object({ promptClass: z.string(), share: z.number(), reference: z.number() })),
  }),
  length: z.object({ effect: z.number(), noise: z.number(), moved: z.boolean() }).nullable(),
});

/** The evidence of one look, as stored with decisions. */
export const evidence = z.object({
  at: z.number(),
  epoch: z.int(),
  arms: z.object({ stable: armHealth, candidate: armHealth }),
  gateways: z.object({ live: z.int(), applied: z.int() }),
  gate: z
    .object({
      verdict,
      note: z.string(),
      effect: z.number().nullable(),
      lower: z.number().nullable(),
      upper: z.number().nullable(),
      evaluationId: z.string(),
    })
    .nullable(),
  shadow: z
    .object({ verdict, pairs: z.int(), forced: z.int(), findings: z.array(finding), note: z.string() })
    .nullable()
    .optional(),
  expected: z
    .array(z.object({ metric: z.enum(['entropy', 'length']), lower: z.number(), upper: z.number(), source: z.enum(['shadow', 'gate']) }))
    .optional(),
  reference: z.object({ responses: z.int(), fitted: z.boolean() }),
  findings: z.array(finding),
  combined: z.object({ logE: z.number(), threshold: z.number(), share: z.partialRecord(finding.shape.check, z.number()) }),
  drift: inputDrift.nullable().optional(),
  promotion: z.array(z.object({ check: finding.shape.check, logE: z.number(), needed: z.number(), proven: z.boolean() })),
  counts: z.object({
    stable: z.int(),
    candidate: z.int(),
    candidateUnits: z.int(),
    stepCandidate: z.int(),
    stepStable: z.int(),
    lastStableAt: z.number().nullable(),
    lastCandidateAt: z.number().nullable(),
  }),
  command: z
    .object({ kind: z.enum(['pause', 'resume', 'promote', 'rollback', 'abort']), reason: z.string(), actor: z.string() })
    .nullable(),
});

const versionRef = z.object({ id: z.string(), label: z.string() });

/**
 * `sentence` states the rollout's state in words with numbers. `generation` is the routing table's that carries the newest decision, `observedGeneration` the
 * lowest that a live gateway serves by (null: none is live), `delivery` the same in words, and `settled` says that no command waits and all live gateways
 * have acknowledged. `earlier`: rollouts of the same candidate before this one, and what their bounds on a false rollback sum up to.
 */
export const rolloutResource = z.object({
  id: z.string(),
  model: z.string(),
  stable: versionRef,
  candidate: versionRef,
  phase: phaseName,
  step: z.int().nullable(),
  stepCount: z.int(),
  weightPct: z.number(),
  since: z.number(),
  reason: reason.nullable(),
  sentence: z.string(),
  generation: z.int(),
  observedGeneration: z.int().nullable(),
  delivery: z.string(),
  settled: z.boolean(),
  earlier: z.object({ rollouts: z.int(), exposed: z.int(), spentAlpha: z.number() }),
  gateways: z.object({ live: z.int(), applied: z.int(), missing: z.array(z.string()) }),
  plan: z.record(z.string(), z.unknown()),
  revision: z.int(),
  createdAt: z.number(),
  createdBy: z.string(),
  endedAt: z.number().nullable(),
});

export const rolloutEvent = z.object({
  seq: z.int(),
  rolloutId: z.string(),
  at: z.number(),
  actor: z.string(),
  transition: z.string(),
  fromPhase: phaseName.nullable(),
  toPhase: phaseName,
  weightPct: z.number(),
  reason,
  sentence: z.string(),
  generation: z.int(),
  evidence: evidence.nullable(),
});

export const modelResource = z.object({
  name: z.string(),
  stable: versionRef.nullable(),
  defaultPlan: z.record(z.string(), z.unknown()),
  revision: z.int(),
  createdAt: z.number(),
});

export const versionResource = z.object({
  id: z.string(),
  model: z.string(),
  label: z.string(),
  digest: z.string(),
  spec: versionSpec,
  lineage,
  createdBy: z.string(),
  createdAt: z.number(),
});

export const gatewayResource = z.object({
  id: z.string(),
  generation: z.int(),
  seenAt: z.number(),
  live: z.boolean(),
  droppedWindows: z.int(),
  engines: z.record(
    z.string(),
    z.object({
      state: z.string(),
      reason: z.string().nullable(),
      forS: z.number().optional(),
      crashes: z.int(),
      pid: z.int().nullable(),
    }),
  ),
});

/** RFC 9457 problem details, with Serin's stable code and the fields at fault. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  remedy: z.string().optional(),
});

export const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: z.string().nullable() });

// Requests.
export const createModel = z.strictObject({ name: modelName, defaultPlan: planInput.optional() });
/** `stable`: sets the first stable version directly; allowed only while the model has none. */
export const patchModel = z.strictObject({ defaultPlan: planInput.optional(), stable: versionLabel.optional() });
export const createVersion = z.strictObject({ label: versionLabel, spec: versionSpec, lineage: lineage.optional() });
export const createRollout = z.strictObject({ candidate: versionLabel, plan: planInput.optional() });
/** Body of `POST /rollouts/{id}/replay`: laid over the rollout's own plan. */
export const commandInput = z.strictObject({ reason: z.string().trim().min(3).max(2000) });
export const sessionInput = z.strictObject({ apiKey: z.string().min(1).max(256) });
export const createEndpoint = z.strictObject({
  name: z.string().min(1).max(64),
  url: z.url({ protocol: /^https?$/ }).max(2048),
  eventTypes: z.array(z.string().min(1).max(64)).max(32).optional(),
});
export const createTestSet = z.strictObject({ name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$/) });

/** Body of `POST /hooks/generic`: registers the version (idempotent by content) and starts its rollout unless `start` is false. */
export const deploymentHook = z.strictObject({
  type: z.literal('version.deployed'),
  model: modelName,
  version: createVersion,
  plan: planInput.optional(),
  start: z.boolean().default(true),
});

// Server-sent events of /api/v1/stream: `event:` is the name, `id:` grows.
export const streamEvents = {
  rollout: rolloutResource,
  transition: rolloutEvent,
  look: z.object({ rolloutId: z.string(), evidence }),
} as const;

export type VerdictName = z.infer<typeof verdict>;
export type FindingResource = z.infer<typeof finding>;
export type EvidenceResource = z.infer<typeof evidence>;
export type RolloutResource = z.infer<typeof rolloutResource>;
export type RolloutEventResource = z.infer<typeof rolloutEvent>;
export type ModelResource = z.infer<typeof modelResource>;
export type VersionResource = z.infer<typeof versionResource>;
export type GatewayResource = z.infer<typeof gatewayResource>;
export type Problem = z.infer<typeof problem>;
export type DeploymentHook = z.infer<typeof deploymentHook>;
