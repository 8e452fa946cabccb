// The wire form of a rollout plan: every field optional, merged over the model's default plan, unknown fields refused.
import { z } from 'zod';
import { versionLabel } from './version.js';

const share = z.number().gt(0).max(1);
const seconds = z.number().min(0).max(31_536_000);

export const planStep = z.strictObject({
  weightPct: z.number().gt(0).max(100),
  minS: seconds.optional(),
  minResponses: z.int().min(0).max(1_000_000).optional(),
  deadlineS: seconds.optional(),
  approval: z.boolean().optional(),
});

const instant = z.union([z.int().min(0), z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))]);
const dayTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of the day in UTC such as "22:30"');

/** Weekly by days and times in UTC, or once by two instants (ISO 8601 with offset, or milliseconds since the Unix epoch). */
const freezeWindow = z.union([
  z.strictObject({ days: z.array(z.enum(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'])).min(1), from: dayTime, to: dayTime }),
  z.strictObject({ start: instant, end: instant }),
]);

const ratioCheck = z.strictObject({
  enabled: z.boolean().optional(),
  weight: share.optional(),
  ratio: z.number().min(1).max(100).optional(),
});

const centredCheck = z.strictObject({
  enabled: z.boolean().optional(),
  weight: share.optional(),
  up: z.number().gt(0).max(20).optional(),
  down: z.number().gt(0).lt(1).optional(),
  expect: z.enum(['evaluated', 'stable']).optional(),
});

const checks = z.strictObject({
  entropy: centredCheck.optional(),
  shape: ratioCheck.optional(),
  length: centredCheck.optional(),
  errors: ratioCheck.extend({ proofMargin: share.optional() }).optional(),
  refusals: ratioCheck.extend({ proofMargin: share.optional() }).optional(),
  latency: z
    .strictObject({
      enabled: z.boolean().optional(),
      weight: share.optional(),
      margin: z.number().gt(0).max(20).optional(),
      gross: z.number().gt(0).max(100).optional(),
      proofMargin: z.number().gt(0).max(20).optional(),
      proofBlocks: z.int().min(1).max(10_000).optional(),
      blockS: z.number().min(1).max(3600).optional(),
      settleS: seconds.optional(),
      tailsFromPct: z.number().min(0).max(100).optional(),
    })
    .optional(),
  cost: z.strictObject({ enabled: z.boolean().optional(), weight: share.optional(), up: z.number().gt(0).max(100).optional() }).optional(),
  quality: z
    .strictObject({
      enabled: z.boolean().optional(),
      weight: share.optional(),
      down: z.number().gt(0).lt(1).optional(),
      sampleStable: share.optional(),
      sampleCandidate: share.optional(),
      judge: z
        .strictObject({
          model: z.string().min(1).max(128),
          version: z.string().min(1).max(128).nullable().optional(),
          concurrentRequests: z.int().min(1).max(1_024).optional(),
          tokensPerSecond: z.number().gt(0).max(1_000_000).optional(),
        })
        .nullable()
        .optional(),
      feedback: z.enum(['shown', 'judged']).optional(),
    })
    .optional(),
  memory: z
    .strictObject({ enabled: z.boolean().optional(), maxShare: share.optional(), maxRestarts: z.int().min(0).max(1000).optional() })
    .optional(),
});

/** What people write; `resolvePlan` of the controller fills the rest from the defaults. */
export const planInput = z.strictObject({
  steps: z.array(planStep).min(1).max(20).optional(),
  bakeS: seconds.optional(),
  gate: z
    .strictObject({
      testSet: z.string().min(1).max(128),
      margin: z.number().min(0).max(1).optional(),
      minCases: z.int().min(1).max(1_000_000).optional(),
      maxErrorShare: z.number().min(0).max(1).optional(),
    })
    .nullable()
    .optional(),
  shadow: z
    .strictObject({
      share,
      concurrentRequests: z.int().min(1).max(1_024).optional(),
      tokensPerSecond: z.number().gt(0).max(1_000_000).optional(),
      scoring: z.boolean().optional(),
      minPairs: z.int().min(0).max(1_000_000).optional(),
      deadlineS: seconds.optional(),
    })
    .nullable()
    .optional(),
  control: z.strictObject({ version: versionLabel }).nullable().optional(),
  maxExpectedShift: z.strictObject({ lower: z.number().gt(0).max(1).optional(), upper: z.number().min(1).max(1000).optional() }).optional(),
  alpha: z.number().gt(0).max(0.2).optional(),
  checks: checks.optional(),
  promotion: z
    .strictObject({
      alpha: z.number().gt(0).max(0.5).optional(),
      gating: z.array(z.enum(['entropy', 'length', 'errors', 'refusals', 'latency', 'quality'])).optional(),
      approval: z.boolean().optional(),
    })
    .optional(),
  guards: z
    .strictObject({ minResponses: z.int().min(1).optional(), minUnits: z.int().min(1).optional(), minS: seconds.optional() })
    .optional(),
  reference: z
    .strictObject({
      minResponses: z.int().min(1).optional(),
      minPerClass: z.int().min(1).optional(),
      maxAgeS: seconds.optional(),
      waitS: seconds.optional(),
    })
    .optional(),
  noDataLimitS: seconds.optional(),
  noData: z.enum(['pause', 'rollback']).optional(),
  exposure: z
    .strictObject({ maxResponses: z.int().min(1).nullable().optional(), maxUnits: z.int().min(1).nullable().optional() })
    .optional(),
  freeze: z.array(freezeWindow).max(50).optional(),
  startAt: instant.nullable().optional(),
  watch: z
    .strictObject({
      enabled: z.boolean().optional(),
      rollback: z.boolean().optional(),
      everyS: z.number().min(60).max(86_400).optional(),
      referenceS: z.number().min(3_600).max(2_592_000).optional(),
    })
    .optional(),
  stickyBy: z.enum(['request', 'user']).optional(),
});

export type PlanInput = z.infer<typeof planInput>;
