// Every phase by everything that may be seen by every command, as one readable table: a change of `decide` shows here as a changed line.
import { expect, it } from 'vitest';
import {
  aFinding,
  aRollout,
  baking,
  command,
  evidence,
  gatedPlan,
  gating,
  noData,
  now,
  onStep,
  pausedFrom,
  pending,
  shadowing,
} from '../../../test/support/rollout.js';
import { type ActivePhase, decide, defaultShadow, type Evidence, type OperatorCommand, type Phase, type Plan, weightOf } from './index.js';

/** Everything that a plan may ask for, on two steps of 5% and 50%. */
const whole: Plan = { ...gatedPlan, shadow: { ...defaultShadow, share: 0.1, deadlineS: 1_000 } };

type Seen = readonly [what: string, more: Partial<Evidence>, plan?: Plan];

const judged = (verdict: 'pass' | 'fail' | 'inconclusive' | 'unmeasured', proven: boolean): Partial<Evidence> => {
  const logE = verdict === 'fail' ? 9 : 0;
  const findings = [aFinding('entropy', verdict, logE), aFinding('errors', verdict === 'fail' ? 'pass' : verdict)];
  return {
    gate: { verdict, note: 'as counted', effect: -0.05, lower: -0.08, upper: -0.02, evaluationId: 'e1' },
    shadow: { verdict, pairs: 200, forced: 100, findings, note: 'as mirrored' },
    findings,
    combined: { logE, threshold: Math.log(100), share: {} },
    promotion: evidence().promotion.map((proof) => ({ ...proof, proven, logE: proven ? 4 : 1 })),
  };
};
const pass = judged('pass', true);
const ready = { state: 'ready' } as const;
const failed = { state: 'failed', reason: 'SIGABRT' } as const;
const away = (forS: number) => ({ state: 'unreachable', forS }) as const;
const full = { state: 'ready', memoryShare: 0.99 } as const;
const always: Plan['freeze'] = [{ start: now - 1, end: now + 1 }];

const seen: readonly Seen[] = [
  ['nothing yet', { ...judged('inconclusive', false), gate: null, shadow: null, counts: { ...evidence().counts, stepCandidate: 3 } }],
  ['pass', pass],
  ['fail', judged('fail', false)],
  ['inconclusive', judged('inconclusive', false)],
  ['unmeasured', judged('unmeasured', true)],
  ['amber', { ...pass, findings: [{ ...aFinding('latency', 'pass'), amber: true }] }],
  ['no data', { ...noData(), gate: null, shadow: null }],
  ['thin reference', { ...pass, reference: { responses: 3, fitted: false } }],
  ['unexpected shift', { ...pass, expected: [{ metric: 'entropy', lower: 0.34, upper: 0.4, source: 'gate' }] }],
  ['gateway behind', { ...pass, gateways: { live: 2, applied: 1 } }],
  ['candidate loading', { ...pass, arms: { stable: ready, candidate: { state: 'loading' } } }],
  ['candidate away', { ...pass, arms: { stable: ready, candidate: away(60) } }],
  ['candidate failed', { ...pass, arms: { stable: ready, candidate: failed } }],
  ['candidate full', { ...pass, arms: { stable: ready, candidate: full } }],
  ['both full', { ...pass, arms: { stable: full, candidate: full } }],
  ['stable away 5 s', { ...pass, arms: { stable: away(5), candidate: ready } }],
  ['stable away 60 s', { ...pass, arms: { stable: away(60), candidate: ready } }],
  ['stable failed', { ...pass, arms: { stable: failed, candidate: ready } }],
  ['stable failed, fail', { ...judged('fail', false), arms: { stable: failed, candidate: ready } }],
  ['both failed', { ...pass, arms: { stable: failed, candidate: failed } }],
  ['budget spent', pass, { ...whole, exposure: { maxResponses: 100, maxUnits: null } }],
  ['frozen', pass, { ...whole, freeze: always }],
  [
    'approvals',
    pass,
    { ...whole, steps: whole.steps.map((step) => ({ ...step, approval: true })), promotion: { ...whole.promotion, approval: true } },
  ],
];

const late = (phase: ActivePhase): ActivePhase => ({ ...phase, since: now - 5_000_000 });
const phases: readonly (readonly [name: string, phase: Phase])[] = [
  ['pending', pending()],
  ['gating', gating()],
  ['shadowing', shadowing()],
  ['shadowing, overdue', late(shadowing())],
  ['step 1 of 2, too young', onStep(0, 5)],
  ['step 1 of 2', onStep(0)],
  ['step 2 of 2', onStep(1)],
  ['step 1 of 2, overdue', late(onStep(0))],
  ['baking, too young', baking(5)],
  ['baking', baking()],
  ['paused by a person while pending', pausedFrom(pending())],
  ['paused by a person at the gate', pausedFrom(gating())],
  ['paused by a person in the shadow', pausedFrom(shadowing())],
  ['paused by a person on step 1', pausedFrom(onStep(0))],
  ['paused by a person while baking', pausedFrom(baking())],
  ['paused for an inconclusive gate', pausedFrom(gating(), 'gate.inconclusive')],
  ['paused for mirrors without a verdict', pausedFrom(shadowing(), 'shadow.inconclusive')],
  ['paused for an unexpected shift', pausedFrom(shadowing(), 'shift.unexpected')],
  ['paused for approval of step 1', pausedFrom(shadowing(), 'approval')],
  ['paused for approval of step 2', pausedFrom(onStep(0), 'approval')],
  ['paused for approval of the promotion', pausedFrom(baking(), 'approval')],
  ['paused for a spent budget on step 1', pausedFrom(onStep(0), 'exposure')],
  ['paused for a deadline on step 1', pausedFrom(onStep(0), 'deadline')],
  ['paused for silence on step 1', pausedFrom(onStep(0), 'no-data')],
  ['paused for a failed stable on step 1', pausedFrom(onStep(0), 'stable.failed')],
  ['promoted', { phase: 'promoted', at: now - 1 }],
  ['rolled back', { phase: 'rolledBack', at: now - 1, reason: { code: 'check.failed' } }],
  ['aborted', { phase: 'aborted', at: now - 1, reason: { code: 'operator' } }],
];

const kinds: readonly (OperatorCommand['kind'] | null)[] = [null, 'pause', 'resume', 'promote', 'rollback', 'abort'];

function place(phase: Phase, plan: Plan): string {
  const step = 'step' in phase && phase.phase === 'progressing' ? ` ${phase.step + 1}` : '';
  return `${phase.phase}${step} ${weightOf(phase, plan) * 100}%`;
}

/** "hold unproven", "advance progressing 2 50%", "pause 5% deadline". */
function cell(phase: Phase, [, more, plan = whole]: Seen, kind: OperatorCommand['kind'] | null): string {
  const { transition, reason, next } = decide(aRollout(phase, plan), evidence({ ...more, command: kind && command(kind) }), now);
  if (transition === 'hold') return `hold ${reason.code}`;
  return `${transition.toUpperCase()} > ${place(next, plan)}${reason.code === 'operator' ? '' : ` ${reason.code}`}`;
}

const widths = [42, 21, 28, 24, 26, 22];
const line = (cells: readonly string[], what: string): string =>
  `${cells.map((text, index) => text.padEnd(widths[index] ?? 0)).join('')}${what}`.trimEnd();

/** A block a phase; what gives the same six answers shares a line; a ditto mark is the answer without a command. */
function table(): string {
  return phases
    .map(([name, phase]) => {
      const byCells = new Map<string, { cells: string[]; what: string[] }>();
      for (const one of seen) {
        const cells = kinds.map((kind) => cell(phase, one, kind));
        const row = byCells.get(cells.join()) ?? { cells, what: [] };
        row.what.push(one[0]);
        byCells.set(cells.join(), row);
      }
      const rows = [...byCells.values()].map(({ cells: [first = '', ...others], what }) => {
        // Whoever asks, and whatever for, changes nothing there.
        const told = others.map((text) => (text === first ? '"' : text));
        return line([first, ...told], what.length === seen.length ? 'whatever is seen' : what.join(', '));
      });
      return [`## ${name} (${place(phase, whole)})`, line(['(no command)', ...kinds.slice(1).map(String)], 'what is seen'), ...rows].join(
        '\n',
      );
    })
    .join('\n\n');
}

it('what is decided in each phase, for whatever is seen and asked', async () => {
  await expect(`${table()}\n`).toMatchFileSnapshot('decide.golden.txt');
});
