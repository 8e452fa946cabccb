// Who plays in the demo: the bundled versions, what is wrong with them, and what must happen to each. The demo fails when the outcome differs.
import type { PlanInput } from '#libs/contract';

export const demoModel = 'support';
export const demoTestSet = 'support-answers';

/** The demo's plan, quicker than the default: it says so when it prints it. Bounds on errors of judgement stay at their defaults. */
export const demoPlan: PlanInput = {
  steps: [{ weightPct: 50, minS: 40, minResponses: 60, deadlineS: 240 }],
  bakeS: 4,
  alpha: 0.01,
  checks: {
    latency: { blockS: 2, settleS: 2, margin: 0.5, gross: 1 },
    errors: { proofMargin: 0.02 },
    entropy: { up: 0.15, down: 0.15 },
  },
  reference: { minResponses: 300, minPerClass: 100, waitS: 120 },
  noDataLimitS: 60,
};

export const demoGate: NonNullable<PlanInput['gate']> = { testSet: demoTestSet, margin: 0.02, minCases: 300, maxErrorShare: 0.02 };

export interface Role {
  readonly label: string;
  readonly file: string;
  readonly sha256: string;
  readonly story: string;
  readonly gated: boolean;
  readonly expect: {
    readonly phase: 'promoted' | 'rolledBack';
    /** Acceptable reason codes with, for failed checks, the checks that may carry the decision. */
    readonly cause: string;
    readonly checks?: readonly string[];
  };
}

export const stable: Omit<Role, 'gated' | 'expect'> = {
  label: 'v1',
  file: 'demo-support-v1-stable.gguf',
  sha256: '99dd42cd8747c4eba554de2e73f749f615fcf4cabbcd4a6d8eec34b5ba3630e5',
  story: 'the version that serves today',
};

export const roles: readonly Role[] = [
  {
    label: 'v2',
    file: 'demo-support-v2-improved.gguf',
    sha256: 'e4ebaa5c97b8b02046b7fc88613880625886460950d281fb8bc04e5941fea6d3',
    story: 'trained further, better at reading dates out of tickets',
    gated: true,
    expect: { phase: 'promoted', cause: 'proof' },
  },
  {
    label: 'v4',
    file: 'demo-support-v4-rounded.gguf',
    sha256: '67186917c151d854d07f690d30265ecbe6b44a8983d576403fabf0f40af8b35a',
    story: 'broken quantisation: weights rounded to two bits (gate off)',
    gated: false,
    expect: { phase: 'rolledBack', cause: 'check.failed', checks: ['entropy'] },
  },
  {
    label: 'v5',
    file: 'demo-support-v5-collapsed.gguf',
    sha256: 'f2c0664c920d7f574bf1c28a59ee0dc70fb949b338aa4acf905a1d1276e32acf',
    story: 'collapsed into repetition: starts right, then loops (gate off)',
    gated: false,
    expect: { phase: 'rolledBack', cause: 'check.failed', checks: ['entropy', 'length', 'shape', 'errors'] },
  },
  {
    label: 'v6',
    file: 'demo-support-v6-slow.gguf',
    sha256: '13394c3c9697264706def633aa69463540becc378fdb71f1df510b02222d6242',
    story: 'the same answers to the last bit, but 2.3 x slower per token (gate off)',
    gated: false,
    expect: { phase: 'rolledBack', cause: 'check.failed', checks: ['latency', 'ttft', 'interToken', 'errors'] },
  },
  {
    label: 'v3',
    file: 'demo-support-v3-regressed.gguf',
    sha256: '8a4f04d46254aca521f436019540fcab86417a7497e767d17cba3b3e76c9f60d',
    story: 'fine-tuned on wrong labels: silently wrong, just as sure of itself',
    gated: true,
    expect: { phase: 'rolledBack', cause: 'gate.failed' },
  },
];
