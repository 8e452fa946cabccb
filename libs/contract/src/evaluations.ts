// Test sets and evaluations on the wire. Times are milliseconds since the Unix epoch; rates and bounds are shares (0.02 = 2 points).
import { z } from 'zod';
import { verdict } from './resources.js';
import { modelName, versionLabel } from './version.js';

export const testSetName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$/, 'must be 1 to 127 letters, digits, dots, dashes and underscores');

export const testSetVersion = z.object({
  number: z.int(),
  digest: z.string(),
  caseCount: z.int(),
  createdBy: z.string(),
  createdAt: z.number(),
});

/** `versions`: newest first; empty while nothing was frozen. */
export const testSetResource = z.object({ name: z.string(), createdAt: z.number(), versions: z.array(testSetVersion) });

/** `baseline`: default is the model's stable version when that is another one. Without a baseline nothing is compared. */
export const createEvaluation = z.strictObject({
  model: modelName,
  candidate: versionLabel,
  baseline: versionLabel.optional(),
  testSet: testSetName,
  margin: z.number().min(0).max(1).default(0.02),
  minCases: z.int().min(1).max(1_000_000).optional(),
  maxErrorShare: z.number().min(0).max(1).optional(),
});

const slice = z.object({
  kind: z.string(),
  n: z.int(),
  better: z.int(),
  worse: z.int(),
  candidatePassRate: z.number(),
  baselinePassRate: z.number(),
});

export const evaluationFinding = z.object({
  verdict,
  effect: z.number().nullable(),
  lower: z.number().nullable(),
  upper: z.number().nullable(),
  margin: z.number(),
  detectable: z.number().nullable(),
  n: z.int(),
  better: z.int(),
  worse: z.int(),
  candidatePassRate: z.number().nullable(),
  baselinePassRate: z.number().nullable(),
  candidateErrors: z.int(),
  baselineErrors: z.int(),
  pWorse: z.number().nullable(),
  slices: z.array(slice),
  note: z.string(),
});

export const evaluationResource = z.object({
  id: z.string(),
  rolloutId: z.string().nullable(),
  model: z.string(),
  candidate: z.string(),
  baseline: z.string().nullable(),
  testSet: z.object({ name: z.string(), number: z.int(), digest: z.string() }),
  margin: z.number(),
  minCases: z.int(),
  maxErrorShare: z.number(),
  state: z.enum(['queued', 'running', 'complete', 'failed', 'cancelled']),
  planned: z.int(),
  done: z.object({ candidate: z.int(), baseline: z.int() }),
  verdict: verdict.nullable(),
  finding: evaluationFinding.nullable(),
  error: z.string().nullable(),
  createdAt: z.number(),
  startedAt: z.number().nullable(),
  finishedAt: z.number().nullable(),
});

const answer = z.object({
  outcome: z.enum(['answered', 'errored']),
  output: z.string().nullable(),
  passed: z.boolean().nullable(),
  score: z.number().nullable(),
  attempts: z.int(),
  latencyMs: z.number().nullable(),
  outputTokens: z.int().nullable(),
  error: z.string().nullable(),
});

/** `content` is the case as it was frozen. Texts of models are text: never to be shown as HTML. */
export const evaluationCase = z.object({
  idx: z.int(),
  id: z.string(),
  content: z.record(z.string(), z.unknown()),
  candidate: answer.nullable(),
  baseline: answer.nullable(),
});

export type TestSetResource = z.infer<typeof testSetResource>;
export type TestSetVersionResource = z.infer<typeof testSetVersion>;
export type EvaluationFindingResource = z.infer<typeof evaluationFinding>;
export type EvaluationResource = z.infer<typeof evaluationResource>;
export type EvaluationCaseResource = z.infer<typeof evaluationCase>;
